// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tensor/blocks.h"

#include "engine/base/error.h"
#include "engine/base/half.h"
#include "engine/tensor/super_blocks.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ergo {

namespace {

// Everything is little-endian; halves are 2 bytes at any address.
float half_at(const std::byte* p) {
    std::uint16_t bits;
    std::memcpy(&bits, p, sizeof bits);
    return f16_to_f32(bits);
}

void put_half(float value, std::byte* p) {
    const std::uint16_t bits = f32_to_f16(value);
    std::memcpy(p, &bits, sizeof bits);
}

int low(std::byte b) {
    return static_cast<int>(b) & 15;
}
int high(std::byte b) {
    return static_cast<int>(b) >> 4;
}
int as_signed(std::byte b) {
    return static_cast<std::int8_t>(b);
}

void decode_q8_0(const std::byte* b, float* x) {
    const float d = half_at(b);
    for (int i = 0; i < 32; ++i) {
        x[i] = d * static_cast<float>(as_signed(b[2 + i]));
    }
}

void decode_q4_0(const std::byte* b, float* x) {
    const float d = half_at(b);
    for (int i = 0; i < 16; ++i) {
        x[i] = d * static_cast<float>(low(b[2 + i]) - 8);
        x[i + 16] = d * static_cast<float>(high(b[2 + i]) - 8);
    }
}

void decode_q4_1(const std::byte* b, float* x) {
    const float d = half_at(b), m = half_at(b + 2);
    for (int i = 0; i < 16; ++i) {
        x[i] = d * static_cast<float>(low(b[4 + i])) + m;
        x[i + 16] = d * static_cast<float>(high(b[4 + i])) + m;
    }
}

/// Fifth bits of a block of 32: bit i belongs to element i.
struct FifthBits {
    explicit FifthBits(const std::byte* p) { std::memcpy(&bits, p, sizeof bits); }
    int at(int i) const { return static_cast<int>(bits >> i & 1u) << 4; }
    std::uint32_t bits;
};

void decode_q5_0(const std::byte* b, float* x) {
    const float d = half_at(b);
    const FifthBits fifth(b + 2);
    for (int i = 0; i < 16; ++i) {
        x[i] = d * static_cast<float>((low(b[6 + i]) | fifth.at(i)) - 16);
        x[i + 16] = d * static_cast<float>((high(b[6 + i]) | fifth.at(i + 16)) - 16);
    }
}

void decode_q5_1(const std::byte* b, float* x) {
    const float d = half_at(b), m = half_at(b + 2);
    const FifthBits fifth(b + 4);
    for (int i = 0; i < 16; ++i) {
        x[i] = d * static_cast<float>(low(b[8 + i]) | fifth.at(i)) + m;
        x[i + 16] = d * static_cast<float>(high(b[8 + i]) | fifth.at(i + 16)) + m;
    }
}

/// q4_k, q5_k and q6_k.
template <DType Type> void decode_super(const std::byte* b, float* x) {
    SuperBlock block;
    take_apart(Type, b, block);
    values_of(Type, block, x);
}

template <class Decode>
void each_block(DType type, std::span<const std::byte> blocks, std::span<float> out, Decode decode) {
    const auto elements = static_cast<std::size_t>(block_elements(type));
    const std::size_t bytes = block_bytes(type);
    for (std::size_t i = 0; i * elements < out.size(); ++i) {
        decode(blocks.data() + i * bytes, out.data() + i * elements);
    }
}

void encode_q8_0(const float* x, std::byte* b) {
    float largest = 0;
    for (int i = 0; i < 32; ++i) {
        largest = std::max(largest, std::abs(x[i]));
    }
    const float d = largest / 127, inverse = d > 0 ? 1 / d : 0;
    put_half(d, b);
    for (int i = 0; i < 32; ++i) {
        b[2 + i] = static_cast<std::byte>(static_cast<std::int8_t>(std::lround(x[i] * inverse)));
    }
}

void encode_q4_0(const float* x, std::byte* b) {
    const float extreme =
        *std::max_element(x, x + 32, [](float p, float q) { return std::abs(p) < std::abs(q); });
    const float d = extreme / -8, inverse = d != 0 ? 1 / d : 0;
    put_half(d, b);
    const auto nibble = [&](float v) {
        return static_cast<unsigned>(std::clamp(std::lround(v * inverse) + 8, 0L, 15L));
    };
    for (int i = 0; i < 16; ++i) {
        b[2 + i] = static_cast<std::byte>(nibble(x[i]) | nibble(x[i + 16]) << 4);
    }
}

void check_sizes(DType type, std::size_t bytes, std::size_t elements) {
    const auto count = static_cast<std::int64_t>(elements);
    if (!is_quantised(type) || count % block_elements(type) != 0 || dtype_bytes(type, count) != bytes) {
        throw Error(ErrorKind::usage, std::to_string(bytes) + " bytes are not " + std::to_string(elements) +
                                          " elements in blocks of " + std::string(dtype_name(type)) + ".");
    }
}

} // namespace

void decode_blocks(DType type, std::span<const std::byte> blocks, std::span<float> out) {
    check_sizes(type, blocks.size(), out.size());
    switch (type) {
    case DType::q8_0:
        return each_block(type, blocks, out, decode_q8_0);
    case DType::q4_0:
        return each_block(type, blocks, out, decode_q4_0);
    case DType::q4_1:
        return each_block(type, blocks, out, decode_q4_1);
    case DType::q5_0:
        return each_block(type, blocks, out, decode_q5_0);
    case DType::q5_1:
        return each_block(type, blocks, out, decode_q5_1);
    case DType::q4_k:
        return each_block(type, blocks, out, decode_super<DType::q4_k>);
    case DType::q5_k:
        return each_block(type, blocks, out, decode_super<DType::q5_k>);
    default:
        return each_block(type, blocks, out, decode_super<DType::q6_k>);
    }
}

void encode_blocks(DType type, std::span<const float> values, std::span<std::byte> out) {
    check_sizes(type, out.size(), values.size());
    const auto each = [&](auto encode) {
        const auto elements = static_cast<std::size_t>(block_elements(type));
        const std::size_t bytes = block_bytes(type);
        for (std::size_t i = 0; i * elements < values.size(); ++i) {
            encode(values.data() + i * elements, out.data() + i * bytes);
        }
    };
    if (is_super_block(type)) {
        return each(
            [&](const float* x, std::byte* b) { put_together(type, round_to_super_block(type, x), b); });
    }
    if (type != DType::q8_0 && type != DType::q4_0) {
        throw Error(ErrorKind::unsupported,
                    "numbers cannot be written as " + std::string(dtype_name(type)) + ".",
                    {.advice = "Choose q8_0, q4_0, q4_k, q5_k or q6_k."});
    }
    each(type == DType::q8_0 ? encode_q8_0 : encode_q4_0);
}

} // namespace ergo
