// SPDX-License-Identifier: GPL-3.0-or-later
// How many bytes a model takes on a backend, by purpose: what a backend announces from sizes alone
// (Backend::need) and what it then holds (taken()). Plain data, any thread.
#pragma once

#include <cstdint>

namespace ergo {

struct MemoryNeed {
    std::uint64_t weights =
        0; ///< weights in memory of their own: copies, conversions, tables that were worked out
    std::uint64_t in_place =
        0;                     ///< weights read where they lie in a file; the system may drop and reread them
    std::uint64_t cache = 0;   ///< what one session remembers of all its positions
    std::uint64_t scratch = 0; ///< buffers of a session's steps, observed ones included

    std::uint64_t total() const { return weights + in_place + cache + scratch; }
    MemoryNeed& operator+=(const MemoryNeed& other) {
        weights += other.weights;
        in_place += other.in_place;
        cache += other.cache;
        scratch += other.scratch;
        return *this;
    }
};

} // namespace ergo
