// SPDX-License-Identifier: GPL-3.0-or-later
// How the CPU kernels keep weights in whole numbers (engine/tensor/grouped.h, super_blocks.h): 16 outputs
// side by side, so that one vector instruction works on four inputs of each. Pure functions, any thread.
//
// A strip holds 16 outputs; the last one is filled up with outputs of scale 0. Strips follow one another, and
// in each its groups of 32 inputs, so that a token reads a single stream. Group g is
//
//     q8: scales [16] f16, numbers [8][16][4]: q + 128 of output o, inputs 32 g + 4 s + 0..3, as unsigned
//         bytes at [s][o]
//     q4: scales [16] and minimums [16] f16, numbers [4][16][4]: at [p][o] in the low halves the inputs
//         32 g + 4 p + 0..3, in the high halves the inputs 32 g + 4 (p + 4) + 0..3
//     q4_0: as q4 without the minimums, which are -8 times the scales
//
// Blocks of 256 keep their scales as they are: in front of every eight groups scale [16] (and minimum [16])
// f16, and group g is
//
//     q4_k: scales [16] and minimums [16], a byte each, numbers as q4
//     q5_k: the same, then fifth bits [16][4]: at [o], byte i, bit s that of input 32 g + 4 s + i
//     q6_k: scales [2][16], signed bytes, of inputs 32 g + 0..15 and of the others; of q + 32 the low four
//         bits as q4, then the high two [2][16][4]: at [h][o], byte i, from the lowest bits on those of the
//         inputs 32 g + 4 s + i for s = 2 h, 2 h + 4, 2 h + 1, 2 h + 5
#pragma once

#include "engine/tensor/grouped.h"
#include "engine/tensor/super_blocks.h"

#include <cstddef>
#include <cstdint>
#include <span>

namespace ergo::cpu {

inline constexpr std::int64_t strip_outputs = 16;
inline constexpr std::int64_t super_groups = super_inputs / group_inputs; // of a block of 256

/// Types that weights are laid out in here: q8, q4, q4_0, q4_k, q5_k, q6_k.
inline constexpr bool is_in_strips(DType type) {
    return type == DType::q8 || type == DType::q4 || type == DType::q4_0 || is_super_block(type);
}
inline constexpr bool has_minimums(DType form) {
    return form == DType::q4 || form == DType::q4_0 || form == DType::q4_k || form == DType::q5_k;
}

inline constexpr std::int64_t strips_of(std::int64_t outputs) {
    return (outputs + strip_outputs - 1) / strip_outputs;
}
/// Bytes in front of every `super_groups` groups.
inline constexpr std::int64_t super_scale_bytes(DType form) {
    return is_super_block(form) ? strip_outputs * (has_minimums(form) ? 4 : 2) : 0;
}
/// Bytes of a group's scales (and minimums), which its numbers follow.
inline constexpr std::int64_t group_scale_bytes(DType form) {
    return strip_outputs * (form == DType::q4 ? 4 : 2);
}
inline constexpr std::int64_t number_bits(DType form) {
    return form == DType::q8 ? 8 : form == DType::q6_k ? 6 : form == DType::q5_k ? 5 : 4;
}
inline constexpr std::int64_t strip_group_bytes(DType form) {
    return group_scale_bytes(form) + strip_outputs * group_inputs * number_bits(form) / 8;
}
/// Where group `group` of a strip begins; a multiple of super_groups: where the bytes in front of it do.
inline constexpr std::int64_t group_offset(DType form, std::int64_t group) {
    const bool behind = group % super_groups != 0; // their block's scales
    return group * strip_group_bytes(form) +
           (group / super_groups + (behind ? 1 : 0)) * super_scale_bytes(form);
}
inline constexpr std::int64_t strip_bytes(DType form, std::int64_t inputs) {
    return group_offset(form, groups_of(inputs));
}

/// The outputs [16 * strip, …) of a matrix, at most 16 of them, rounded to `form` (q8 or q4) where they are
/// not of it; q4_0, q4_k, q5_k and q6_k are the matrix's own type. `to`: strip_bytes. Throws
/// Error(unsupported) as read_grouped_row.
void pack_strip(const Tensor& matrix, DType form, std::int64_t strip, std::byte* to);

/// One output of packed strips in float32: what an embedding looks up. out.size() inputs.
void unpack_row(const std::byte* strips, DType form, std::int64_t row, std::span<float> out);

} // namespace ergo::cpu
