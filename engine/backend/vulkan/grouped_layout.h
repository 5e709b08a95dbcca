// SPDX-License-Identifier: GPL-3.0-or-later
// How kernels read matrices in whole numbers (engine/tensor/grouped.h); the layout is described in
// shaders/weight.glsl. Pure functions, any thread.
#pragma once

#include "engine/tensor/grouped.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace ergo::vulkan {

/// Bytes of a group's numbers, and of its scale (q4: and minimum).
inline constexpr std::uint64_t group_number_bytes(DType form) {
    return group_inputs / (form == DType::q8 ? 1 : 2);
}
inline constexpr std::uint64_t group_scale_bytes(DType form) {
    return form == DType::q8 ? 2 : 4;
}

/// Bytes of a matrix: all numbers, then all scales, a multiple of 4.
inline constexpr std::uint64_t grouped_bytes(DType form, std::int64_t outputs, std::int64_t inputs) {
    const auto groups = static_cast<std::uint64_t>(outputs * groups_of(inputs));
    return groups * group_number_bytes(form) + (groups * group_scale_bytes(form) + 3) / 4 * 4;
}

/// Rows [first, first + count) of a matrix, rounded to `form` where they are not of it. `numbers` and
/// `scales` have room for the groups of `count` rows. Throws Error(unsupported) as read_grouped_row.
void pack_rows(const Tensor& matrix, DType form, std::int64_t first, std::int64_t count,
               std::span<std::byte> numbers, std::span<std::byte> scales);

} // namespace ergo::vulkan
