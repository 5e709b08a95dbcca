// SPDX-License-Identifier: GPL-3.0-or-later
// Which buffers and states an op reads and writes: what decides whether two ops may change places; and which
// weights its kernel does not widen. Pure functions, any thread.
#pragma once

#include "engine/backend/plan.h"

#include <cstdint>
#include <set>
#include <vector>

namespace ergo::vulkan {

struct Access {
    std::set<std::int64_t> reads, writes; // of resource_of()
    void add(const Access& other) {
        reads.insert(other.reads.begin(), other.reads.end());
        writes.insert(other.writes.begin(), other.writes.end());
    }
};

constexpr std::int64_t resource_of(BufferId id) {
    return id.index;
}
constexpr std::int64_t resource_of(StateId id) {
    return (std::int64_t{1} << 32) + id.index;
}

Access access_of(const Op& op);

/// The weights that the op's kernel reads as float32 alone: others than the matrices of products and
/// embeddings.
std::vector<WeightId> float_weights(const Op& op);

/// One of them writes what the other touches.
bool conflict(const Access& a, const Access& b);

} // namespace ergo::vulkan
