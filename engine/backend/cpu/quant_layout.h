// SPDX-License-Identifier: GPL-3.0-or-later
// How the CPU kernels keep weights in whole numbers (engine/tensor/grouped.h): 16 outputs side by side, so
// that one vector instruction works on four inputs of each. Pure functions, any thread.
//
// A strip holds 16 outputs; the last one is filled up with outputs of scale 0. Strips follow one another, and
// in each its groups of 32 inputs, so that a token reads a single stream. Group g is
//
//     q8: scales [16] f16, numbers [8][16][4]: q + 128 of output o, inputs 32 g + 4 s + 0..3, as unsigned
//         bytes at [s][o]
//     q4: scales [16] and minimums [16] f16, numbers [4][16][4]: at [p][o] in the low halves the inputs
//         32 g + 4 p + 0..3, in the high halves the inputs 32 g + 4 (p + 4) + 0..3
#pragma once

#include "engine/tensor/grouped.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace ergo::cpu {

inline constexpr std::int64_t strip_outputs = 16;

inline constexpr std::int64_t strips_of(std::int64_t outputs) {
    return (outputs + strip_outputs - 1) / strip_outputs;
}
/// Bytes of a group's scales (and minimums), which its numbers follow.
inline constexpr std::int64_t group_scale_bytes(DType form) {
    return strip_outputs * (form == DType::q8 ? 2 : 4);
}
inline constexpr std::int64_t strip_group_bytes(DType form) {
    return group_scale_bytes(form) + strip_outputs * group_inputs / (form == DType::q8 ? 1 : 2);
}
inline constexpr std::int64_t strip_bytes(DType form, std::int64_t inputs) {
    return groups_of(inputs) * strip_group_bytes(form);
}

/// The outputs [16 * strip, …) of a matrix, at most 16 of them, rounded to `form` where they are not of it.
/// `to`: strip_bytes. Throws Error(unsupported) as read_grouped_row.
void pack_strip(const Tensor& matrix, DType form, std::int64_t strip, std::byte* to);

/// One output of packed strips in float32: what an embedding looks up. out.size() inputs.
void unpack_row(const std::byte* strips, DType form, std::int64_t row, std::span<float> out);

} // namespace ergo::cpu
