// SPDX-License-Identifier: GPL-3.0-or-later
// Matrix products with weights in whole numbers (quant_layout.h): rows rounded to 16-bit numbers once, exact
// sums of products of a group, scales applied in float32 group after group, multiplication and addition
// rounded each. Every instruction set gives the bits of reference/grouped.h, up to the activation function.
#pragma once

#include "engine/backend/cpu/quant_layout.h"
#include "engine/backend/op.h"

#include <string>
#include <vector>

namespace ergo::cpu {

/// Rows of inputs as whole numbers: x = scale * (255 * high + low), both bytes from -127 to 127. The arrays
/// lie one after another in memory that a caller owns.
struct QuantRows {
    std::int64_t groups = 0;
    std::int8_t* numbers = nullptr;  // [rows, groups, 2, 32]: high bytes, then low ones
    float* scales = nullptr;         // [rows, groups]
    float* sums = nullptr;           // [rows, groups]: scale times the sum of the group's numbers
    std::int32_t* offsets = nullptr; // [rows, groups]: -128 times the sum of the group's numbers

    /// Bytes that `rows` rows need.
    static std::uint64_t bytes(std::int64_t rows, std::int64_t inputs);
    /// Over such memory, aligned to 64.
    static QuantRows at(std::byte* memory, std::int64_t rows, std::int64_t inputs);
};

/// Rounds the rows [begin, end) of `in`.
void round_rows(const float* const* in, std::int64_t inputs, std::int64_t begin, std::int64_t end,
                const QuantRows& to);

/// out[r][o] = act(in[r] . weight[o] + bias[o])
struct QuantLinearArgs {
    const std::byte* weight = nullptr; // strips, quant_layout.h
    DType form = DType::q8;            // or q4
    const float* bias = nullptr;       // [outputs] or null
    Activation activation = Activation::identity;
    std::int64_t inputs = 0, outputs = 0, rows = 0;
    QuantRows in;
    float* const* out = nullptr; // [rows]
};
/// Outputs [begin, end) of all rows; begin is a multiple of 16, end too unless it is `outputs`.
void linear_quant(const QuantLinearArgs& args, std::int64_t begin, std::int64_t end);

/// The instruction sets this machine has among those the kernels of this file are compiled for, best first.
std::vector<std::string> quant_instruction_sets();
/// For tests: runs the kernels of this file with one of these from now on, in every thread; "" for the best.
void use_quant_instruction_set(const std::string& name);

} // namespace ergo::cpu
