// SPDX-License-Identifier: GPL-3.0-or-later
// Tensors that lie in a storage with an offset and strides. Internal to this floor. Pure functions, any
// thread.
#pragma once

#include "engine/tensor/tensor.h"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ergo {

struct StridedView {
    Shape shape;
    std::vector<std::int64_t> strides; ///< elements
    std::int64_t offset = 0;           ///< elements

    /// Sentence saying why the view does not lie in a storage of `count` elements, "" when it does.
    std::string problem(std::uint64_t count) const;
    /// Elements lie one after the other in row-major order. Only for a view without a problem.
    bool contiguous() const;
    std::uint64_t elements() const; ///< only for a view without a problem
};

/// The elements in row-major order; `swap` turns each one's bytes around. `out` has elements() *
/// element_bytes.
void gather(const StridedView& view, std::span<const std::byte> storage, unsigned element_bytes, bool swap,
            std::span<std::byte> out);

} // namespace ergo
