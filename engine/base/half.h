// SPDX-License-Identifier: GPL-3.0-or-later
// bfloat16 and IEEE half as stored in checkpoints. Plain scalar conversions, exact both ways where exact is
// possible.
#pragma once

#include <bit>
#include <cstdint>

namespace ergo {

/// bfloat16 bits to float32 (exact).
inline float bf16_to_f32(std::uint16_t bits) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
}

/// float32 to bfloat16, round to nearest even; NaN stays a quiet NaN.
inline std::uint16_t f32_to_bf16(float value) {
    const auto u = std::bit_cast<std::uint32_t>(value);
    if ((u & 0x7fffffffu) > 0x7f800000u) {
        return static_cast<std::uint16_t>((u >> 16) | 0x40u);
    }
    return static_cast<std::uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

/// IEEE 754 binary16 bits to float32 (exact, subnormals included).
inline float f16_to_f32(std::uint16_t bits) {
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
    const std::uint32_t exponent = (bits >> 10) & 0x1fu;
    const std::uint32_t mantissa = bits & 0x3ffu;
    if (exponent == 0) {
        const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
        return std::bit_cast<float>(std::bit_cast<std::uint32_t>(magnitude) | sign);
    }
    if (exponent == 31) {
        return std::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
    }
    return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

/// float32 to binary16, round to nearest even; overflow becomes infinity.
std::uint16_t f32_to_f16(float value);

} // namespace ergo
