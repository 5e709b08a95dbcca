// SPDX-License-Identifier: GPL-3.0-or-later
// Matrix products with weights in whole numbers (quant_layout.h): rows rounded to whole numbers once, exact
// sums of products of a group, scales applied in float32 group after group, multiplication and addition
// rounded each. Every instruction set gives the bits of reference/grouped.h, up to the activation function.
#pragma once

#include "engine/backend/cpu/quant_layout.h"
#include "engine/backend/op.h"

#include <string>
#include <vector>

namespace ergo::cpu {

/// AVX-512 with VNNI, which Highway does not tell from AVX-512 without: a caller says which of the two its
/// kernels shall use.
bool has_vnni();

/// What products with some forms of weights want to know of a group's numbers besides their scale. Every line
/// of it that is written is fetched from the other threads, which have read what was there before.
struct GroupSums {
    bool sums = false, offsets = false, halves = false;

    /// Adds what products with `form` want.
    void add(DType form);
};

/// Rows of inputs as whole numbers: x = scale * number. The arrays lie one after another in memory that a
/// caller owns.
struct QuantRows {
    std::int64_t groups = 0;
    bool bytes = false;           // numbers of 8 bits, else of 16
    std::byte* numbers = nullptr; // [rows, groups, 32]: bytes in order, or inputs 0 2 1 3, 4 6 5 7, …
    float* scales = nullptr;      // [rows, groups]
    // Null where nobody wants them:
    float* sums = nullptr;           // [rows, groups]: scale times the sum of the group's numbers
    std::int32_t* offsets = nullptr; // [rows, groups]: -128 times the sum of the group's numbers
    std::int32_t* halves = nullptr;  // [rows, groups, 2]: -32 times that of its first 16 and of the others

    /// Bytes that `rows` rows need, however they are rounded.
    static std::uint64_t bytes_for(std::int64_t rows, std::int64_t inputs);
    /// Over such memory, aligned to 64.
    static QuantRows at(std::byte* memory, std::int64_t rows, std::int64_t inputs, bool bytes,
                        GroupSums wanted);
};

/// Rounds the rows [begin, end) of `in`.
void round_rows(const float* const* in, std::int64_t inputs, Rounding rounding, std::int64_t begin,
                std::int64_t end, const QuantRows& to);

/// out[r][o] = act(in[r] . weight[o] + bias[o])
struct QuantLinearArgs {
    const std::byte* weight = nullptr; // strips, quant_layout.h
    DType form = DType::q8;            // is_in_strips
    const float* bias = nullptr;       // [outputs] or null
    Activation activation = Activation::identity;
    std::int64_t inputs = 0, outputs = 0, rows = 0;
    bool vnni = false;           // only where has_vnni()
    QuantRows in;                // of bytes only with vnni
    float* const* out = nullptr; // [rows]
};
/// Outputs [begin, end) of all rows; begin is a multiple of 32, end too unless it is `outputs`.
void linear_quant(const QuantLinearArgs& args, std::int64_t begin, std::int64_t end);

} // namespace ergo::cpu
