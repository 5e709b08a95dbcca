// SPDX-License-Identifier: GPL-3.0-or-later
// Element types of stored tensors. The block-quantised ones store 32 or 256 elements together as small
// integers with a scale (GGUF's types of the same names); engine/tensor/blocks.h decodes them. The grouped
// ones (the project's own q8 and q4) keep whole numbers, scales and minimums apart; engine/tensor/grouped.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ergo {

// clang-format off
enum class DType : std::uint8_t {
    f32, f64, f16, bf16, i64, i32, i16, i8, u64, u32, u16, u8, boolean,
    q8_0, q4_0, q4_1, q5_0, q5_1, q4_k, q5_k, q6_k,
    q8, q4,
};
// clang-format on

/// Bytes of one element. Throws Error(usage) for a quantised type, whose elements have no bytes of their own.
std::size_t dtype_size(DType type);
/// Elements that are stored together: 32 or 256 for block-quantised types, else 1 (grouped ones are read from
/// any element on).
std::int64_t block_elements(DType type);
/// Bytes of one block; of one element where elements stand alone. Throws Error(usage) for a grouped type.
std::size_t block_bytes(DType type);
/// Bytes of `count` elements, a multiple of block_elements(type). `count` is below 2^59. Throws Error(usage)
/// for a grouped type, whose bytes depend on the shape.
std::uint64_t dtype_bytes(DType type, std::int64_t count);
/// "f32", "bf16", "q4_k", …
std::string_view dtype_name(DType type);

inline bool is_float(DType type) {
    return type == DType::f32 || type == DType::f64 || type == DType::f16 || type == DType::bf16;
}
inline bool is_quantised(DType type) {
    return type >= DType::q8_0;
}
inline bool is_grouped(DType type) {
    return type == DType::q8 || type == DType::q4;
}
/// True for the types a weight may have.
inline bool is_weight_type(DType type) {
    return is_float(type) || is_quantised(type);
}

} // namespace ergo
