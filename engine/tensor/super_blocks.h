// SPDX-License-Identifier: GPL-3.0-or-later
// GGUF's blocks of 256 numbers (q4_k, q5_k, q6_k) taken apart: small whole numbers in groups, whose scales
// and minimums are whole numbers too, times two 16-bit floats of the block.
//
//     q4_k, q5_k: x = (scale * scales[g]) * q - minimum * minimums[g], groups of 32, q from 0 to 15 or 31
//     q6_k:       x = (scale * scales[g]) * q,                         groups of 16, q from -32 to 31
//
// In float32 the products of scales are exact: 11 bits times 8 at most. Pure functions, any thread.
#pragma once

#include "engine/tensor/dtype.h"

#include <cstddef>
#include <cstdint>

namespace ergo {

inline constexpr std::int64_t super_inputs = 256;

inline constexpr bool is_super_block(DType type) {
    return type == DType::q4_k || type == DType::q5_k || type == DType::q6_k;
}

struct SuperBlock {
    std::uint16_t scale = 0, minimum = 0;   ///< f16; no minimum in q6_k
    std::int8_t scales[16] = {};            ///< 0..63, eight of them; q6_k: sixteen, signed
    std::uint8_t minimums[8] = {};          ///< 0..63; none in q6_k
    std::int8_t numbers[super_inputs] = {}; ///< q
};

/// One block, block_bytes(type) bytes at any address. Any bytes are numbers.
void take_apart(DType type, const std::byte* block, SuperBlock& out);
/// The same the other way; numbers, scales and minimums are in their ranges.
void put_together(DType type, const SuperBlock& block, std::byte* out);
/// The 256 numbers that it stands for, in float32.
void values_of(DType type, const SuperBlock& block, float* out);

/// 256 finite numbers as a block: scales (and minimums) of small squared error, group by group, then rounded
/// to the block's; nearest numbers for those.
SuperBlock round_to_super_block(DType type, const float* x);

} // namespace ergo
