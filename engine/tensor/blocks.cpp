// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tensor/blocks.h"

#include "engine/base/error.h"
#include "engine/base/half.h"

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

/// Scale and minimum, 6 bits each, of group j of 8, packed into 12 bytes.
struct GroupScale {
    GroupScale(const std::byte* packed, int j) {
        const auto at = [&](int i) { return static_cast<int>(packed[i]); };
        if (j < 4) {
            scale = at(j) & 63;
            minimum = at(j + 4) & 63;
        } else {
            scale = (at(j + 4) & 15) | (at(j - 4) >> 6) << 4;
            minimum = at(j + 4) >> 4 | (at(j) >> 6) << 4;
        }
    }
    int scale, minimum;
};

/// q4_k, and q5_k where `fifth` (32 bytes, bit j of byte l for group j) is not null.
void decode_k(const std::byte* b, const std::byte* fifth, const std::byte* nibbles, float* x) {
    const float d = half_at(b), dmin = half_at(b + 2);
    for (int j = 0; j < 8; ++j) {
        const GroupScale group(b + 4, j);
        const float scale = d * static_cast<float>(group.scale);
        const float minimum = dmin * static_cast<float>(group.minimum);
        const std::byte* run = nibbles + j / 2 * 32; // groups 2r and 2r + 1 share a run of 32 bytes
        for (int l = 0; l < 32; ++l) {
            int q = j % 2 ? high(run[l]) : low(run[l]);
            if (fifth) {
                q += (static_cast<int>(fifth[l]) >> j & 1) << 4;
            }
            x[j * 32 + l] = scale * static_cast<float>(q) - minimum;
        }
    }
}

void decode_q4_k(const std::byte* b, float* x) {
    decode_k(b, nullptr, b + 16, x);
}

void decode_q5_k(const std::byte* b, float* x) {
    decode_k(b, b + 16, b + 48, x);
}

void decode_q6_k(const std::byte* b, float* x) {
    const float d = half_at(b + 208);
    for (int half = 0; half < 2; ++half) {
        const std::byte *lows = b + half * 64, *highs = b + 128 + half * 32, *scales = b + 192 + half * 8;
        for (int quarter = 0; quarter < 4; ++quarter) {
            for (int l = 0; l < 32; ++l) {
                const std::byte nibbles = lows[l + quarter % 2 * 32];
                const int two = static_cast<int>(highs[l]) >> (2 * quarter) & 3;
                const int q = ((quarter < 2 ? low(nibbles) : high(nibbles)) | two << 4) - 32;
                const float scale = d * static_cast<float>(as_signed(scales[2 * quarter + l / 16]));
                x[half * 128 + quarter * 32 + l] = scale * static_cast<float>(q);
            }
        }
    }
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
        return each_block(type, blocks, out, decode_q4_k);
    case DType::q5_k:
        return each_block(type, blocks, out, decode_q5_k);
    default:
        return each_block(type, blocks, out, decode_q6_k);
    }
}

void encode_blocks(DType type, std::span<const float> values, std::span<std::byte> out) {
    check_sizes(type, out.size(), values.size());
    if (type != DType::q8_0 && type != DType::q4_0) {
        throw Error(ErrorKind::unsupported,
                    "numbers cannot be written as " + std::string(dtype_name(type)) + ".",
                    {.advice = "Choose q8_0 or q4_0."});
    }
    const auto encode = type == DType::q8_0 ? encode_q8_0 : encode_q4_0;
    const std::size_t bytes = block_bytes(type);
    for (std::size_t i = 0; i * 32 < values.size(); ++i) {
        encode(values.data() + i * 32, out.data() + i * bytes);
    }
}

} // namespace ergo
