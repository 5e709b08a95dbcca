// SPDX-License-Identifier: GPL-3.0-or-later
// Matrices as small whole numbers: the inputs of every output in groups of 32 (the last one may be shorter),
// each group with a scale and, for q4, a minimum, both 16-bit floats.
//
//     q8: x = scale * q,              q from -127 to 127 (-128 may come from a file)
//     q4: x = scale * q + minimum,    q from 0 to 15
//
// Values and free functions, any thread.
#pragma once

#include "engine/tensor/tensor.h"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ergo {

inline constexpr std::int64_t group_inputs = 32;
inline constexpr std::int64_t groups_of(std::int64_t inputs) {
    return (inputs + group_inputs - 1) / group_inputs;
}

/// One output's row. Room for whole groups; what lies behind the last input is 0.
struct GroupedRow {
    std::vector<std::int8_t> numbers;    ///< [groups * 32]
    std::vector<std::uint16_t> scales;   ///< [groups], f16
    std::vector<std::uint16_t> minimums; ///< [groups], f16; 0 for q8
    void resize(std::int64_t inputs);
};

/// q8 or q4 when numbers of `type` are exactly numbers of that form: q8, q8_0, q5_0 and q4, q4_0, q4_1.
std::optional<DType> grouped_form(DType type);

/// Row `row` of a matrix [outputs, inputs] as `form` (q8 or q4): exactly its numbers where they have that
/// form, else the nearest ones. Throws Error(unsupported) when finite numbers are too large for a 16-bit
/// scale.
void read_grouped_row(const Tensor& matrix, DType form, std::int64_t row, GroupedRow& out);

/// Nearest numbers to `values` (a row). q8: the largest magnitude of a group becomes 127. q4: the scale and
/// minimum of least squared error among those tried.
void round_to_groups(DType form, std::span<const float> values, GroupedRow& out);

/// scale * q + minimum, in float32, for all inputs of a row.
void grouped_row_values(const GroupedRow& row, std::span<float> out);
/// A whole matrix rounded to `form`, in float32.
std::vector<float> grouped_values(const Tensor& matrix, DType form);

/// For Tensor: throws Error(format) unless type, shape and sizes of a grouped tensor agree.
/// Bytes: numbers q8 [outputs, inputs], q4 [outputs, inputs / 2] (input 2 i in the low half of byte i);
/// scales and minimums [outputs, groups].
void check_grouped(const Tensor& tensor);
/// For Tensor: elements [first, first + out.size()).
void grouped_to_floats(const Tensor& tensor, std::int64_t first, std::span<float> out);

} // namespace ergo
