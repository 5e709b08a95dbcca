// SPDX-License-Identifier: GPL-3.0-or-later
// Element types of stored tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ergo {

enum class DType : std::uint8_t { f32, f64, f16, bf16, i64, i32, i16, i8, u64, u32, u16, u8, boolean };

/// Bytes of one element.
std::size_t dtype_size(DType type);
/// "f32", "bf16", …
std::string_view dtype_name(DType type);
/// True for the types a weight may have.
inline bool is_float(DType type) {
    return type == DType::f32 || type == DType::f64 || type == DType::f16 || type == DType::bf16;
}

} // namespace ergo
