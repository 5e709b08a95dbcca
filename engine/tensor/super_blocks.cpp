// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tensor/super_blocks.h"

#include "engine/base/half.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace ergo {

namespace {

constexpr int group = 32, groups = 8, half_groups = 16; // of q4_k and q5_k; q6_k has sixteen of 16

std::uint16_t half_at(const std::byte* p) {
    std::uint16_t bits;
    std::memcpy(&bits, p, sizeof bits);
    return bits;
}

int at(const std::byte* p, int i) {
    return static_cast<int>(p[i]);
}

std::byte as_byte(int value) {
    return static_cast<std::byte>(value);
}

// q4_k: scale, minimum, 12 bytes of scales, 128 of nibbles; q5_k: 32 bytes of fifth bits in front of these.
constexpr int scales_at = 4, fifths_at = 16;
constexpr int nibbles_at(DType type) {
    return type == DType::q5_k ? 48 : 16;
}

/// Scales and minimums, 6 bits each: those of the first four groups in the low bits of bytes 0-3 and 4-7, the
/// others' in nibbles of bytes 8-11 and the two high bits of 0-7.
void unpack_scales(const std::byte* p, SuperBlock& out) {
    for (int j = 0; j < groups / 2; ++j) {
        out.scales[j] = static_cast<std::int8_t>(at(p, j) & 63);
        out.minimums[j] = static_cast<std::uint8_t>(at(p, j + 4) & 63);
        out.scales[j + 4] = static_cast<std::int8_t>((at(p, j + 8) & 15) | (at(p, j) >> 6) << 4);
        out.minimums[j + 4] = static_cast<std::uint8_t>(at(p, j + 8) >> 4 | (at(p, j + 4) >> 6) << 4);
    }
}

void pack_scales(const SuperBlock& block, std::byte* p) {
    for (int j = 0; j < groups / 2; ++j) {
        const int scale = block.scales[j + 4], minimum = block.minimums[j + 4];
        p[j] = as_byte(block.scales[j] | scale >> 4 << 6);
        p[j + 4] = as_byte(block.minimums[j] | minimum >> 4 << 6);
        p[j + 8] = as_byte((scale & 15) | (minimum & 15) << 4);
    }
}

void take_apart_k(DType type, const std::byte* b, SuperBlock& out) {
    out.scale = half_at(b);
    out.minimum = half_at(b + 2);
    unpack_scales(b + scales_at, out);
    for (int j = 0; j < groups; ++j) {
        const std::byte* run = b + nibbles_at(type) + j / 2 * group; // groups 2r and 2r + 1 share one
        for (int l = 0; l < group; ++l) {
            int q = j % 2 ? at(run, l) >> 4 : at(run, l) & 15;
            if (type == DType::q5_k) {
                q |= (at(b + fifths_at, l) >> j & 1) << 4;
            }
            out.numbers[j * group + l] = static_cast<std::int8_t>(q);
        }
    }
}

void put_together_k(DType type, const SuperBlock& block, std::byte* b) {
    std::memset(b, 0, block_bytes(type));
    std::memcpy(b, &block.scale, 2);
    std::memcpy(b + 2, &block.minimum, 2);
    pack_scales(block, b + scales_at);
    for (int j = 0; j < groups; ++j) {
        std::byte* run = b + nibbles_at(type) + j / 2 * group;
        for (int l = 0; l < group; ++l) {
            const int q = block.numbers[j * group + l];
            run[l] |= as_byte((q & 15) << (j % 2 ? 4 : 0));
            if (type == DType::q5_k) {
                b[fifths_at + l] |= as_byte(q >> 4 << j);
            }
        }
    }
}

/// Where the bits of number i of a q6_k block lie: byte and shift of the low four and of the high two.
struct SixBits {
    explicit SixBits(int i) {
        const int half = i / 128, quarter = i % 128 / 32, l = i % 32;
        low = half * 64 + quarter % 2 * 32 + l;
        low_shift = quarter / 2 * 4;
        high = 128 + half * 32 + l;
        high_shift = 2 * quarter;
    }
    int low, low_shift, high, high_shift;
};
constexpr int six_scales_at = 192, six_scale_at = 208;

void take_apart_six(const std::byte* b, SuperBlock& out) {
    out.scale = half_at(b + six_scale_at);
    out.minimum = 0;
    std::memcpy(out.scales, b + six_scales_at, half_groups);
    for (int i = 0; i < super_inputs; ++i) {
        const SixBits bits(i);
        const int q = (at(b, bits.low) >> bits.low_shift & 15) | (at(b, bits.high) >> bits.high_shift & 3)
                                                                     << 4;
        out.numbers[i] = static_cast<std::int8_t>(q - 32);
    }
}

void put_together_six(const SuperBlock& block, std::byte* b) {
    std::memset(b, 0, block_bytes(DType::q6_k));
    std::memcpy(b + six_scale_at, &block.scale, 2);
    std::memcpy(b + six_scales_at, block.scales, half_groups);
    for (int i = 0; i < super_inputs; ++i) {
        const SixBits bits(i);
        const int q = block.numbers[i] + 32;
        b[bits.low] |= as_byte((q & 15) << bits.low_shift);
        b[bits.high] |= as_byte(q >> 4 << bits.high_shift);
    }
}

// --- rounding --------------------------------------------------------------------------------------------
struct GroupFit {
    float scale = 0, minimum = 0; // x = scale * q - minimum
};

/// Of 32 numbers as q from 0 to `most`: the whole range, then scale and minimum of least squared error for
/// the whole numbers that this gave.
GroupFit fit_group(const float* x, float most) {
    const float low = std::min(0.0f, *std::min_element(x, x + group)), high = *std::max_element(x, x + group);
    GroupFit fit{(high - low) / most, -low};
    if (!(fit.scale > 0)) {
        return fit;
    }
    float sum_q = 0, sum_qq = 0, sum_x = 0, sum_qx = 0;
    for (int i = 0; i < group; ++i) {
        const float q = std::nearbyint(std::clamp((x[i] - low) / fit.scale, 0.0f, most));
        sum_q += q;
        sum_qq += q * q;
        sum_x += x[i];
        sum_qx += q * x[i];
    }
    const float determinant = group * sum_qq - sum_q * sum_q;
    const float scale = determinant > 0 ? (group * sum_qx - sum_q * sum_x) / determinant : 0;
    const float minimum = (scale * sum_q - sum_x) / group;
    return scale > 0 && minimum >= 0 ? GroupFit{scale, minimum} : fit; // a minimum has no sign
}

/// The 16-bit float next to `largest` / `steps`, and how many of it `value` is.
float step_of(float largest, float steps, std::uint16_t& half) {
    half = f32_to_f16(std::clamp(largest / steps, -65504.0f, 65504.0f));
    return f16_to_f32(half);
}
float count_of(float value, float step, float least, float most) {
    return step != 0 ? std::nearbyint(std::clamp(value / step, least, most)) : 0.0f;
}

SuperBlock round_k(DType type, const float* x) {
    const float most = type == DType::q4_k ? 15 : 31;
    GroupFit fits[groups];
    float largest_scale = 0, largest_minimum = 0;
    for (int j = 0; j < groups; ++j) {
        fits[j] = fit_group(x + j * group, most);
        largest_scale = std::max(largest_scale, fits[j].scale);
        largest_minimum = std::max(largest_minimum, fits[j].minimum);
    }
    SuperBlock out;
    const float scale_step = step_of(largest_scale, 63, out.scale);
    const float minimum_step = step_of(largest_minimum, 63, out.minimum);
    for (int j = 0; j < groups; ++j) {
        const float scales = count_of(fits[j].scale, scale_step, 0, 63);
        const float minimums = count_of(fits[j].minimum, minimum_step, 0, 63);
        out.scales[j] = static_cast<std::int8_t>(scales);
        out.minimums[j] = static_cast<std::uint8_t>(minimums);
        for (int l = 0; l < group; ++l) {
            const float from_low = x[j * group + l] + minimum_step * minimums;
            out.numbers[j * group + l] =
                static_cast<std::int8_t>(count_of(from_low, scale_step * scales, 0, most));
        }
    }
    return out;
}

SuperBlock round_six(const float* x) {
    constexpr int size = super_inputs / half_groups;
    float scales[half_groups];
    float largest = 0; // with its sign
    for (int j = 0; j < half_groups; ++j) {
        const float* const own = x + j * size;
        const float extreme =
            *std::max_element(own, own + size, [](float p, float q) { return std::abs(p) < std::abs(q); });
        scales[j] = extreme / -32; // the number that has no counterpart
        largest = std::abs(scales[j]) > std::abs(largest) ? scales[j] : largest;
    }
    SuperBlock out;
    const float step = step_of(largest, -128, out.scale);
    for (int j = 0; j < half_groups; ++j) {
        const float count = count_of(scales[j], step, -128, 127);
        out.scales[j] = static_cast<std::int8_t>(count);
        for (int l = 0; l < size; ++l) {
            out.numbers[j * size + l] =
                static_cast<std::int8_t>(count_of(x[j * size + l], step * count, -32, 31));
        }
    }
    return out;
}

} // namespace

void take_apart(DType type, const std::byte* block, SuperBlock& out) {
    type == DType::q6_k ? take_apart_six(block, out) : take_apart_k(type, block, out);
}

void put_together(DType type, const SuperBlock& block, std::byte* out) {
    type == DType::q6_k ? put_together_six(block, out) : put_together_k(type, block, out);
}

void values_of(DType type, const SuperBlock& block, float* out) {
    const float d = f16_to_f32(block.scale), dmin = f16_to_f32(block.minimum);
    const int size = type == DType::q6_k ? 16 : group;
    for (int j = 0; j < super_inputs / size; ++j) {
        const float scale = d * static_cast<float>(block.scales[j]);
        for (int i = j * size; i < (j + 1) * size; ++i) {
            out[i] = scale * static_cast<float>(block.numbers[i]);
            if (type != DType::q6_k) {
                out[i] -= dmin * static_cast<float>(block.minimums[j]);
            }
        }
    }
}

SuperBlock round_to_super_block(DType type, const float* x) {
    return type == DType::q6_k ? round_six(x) : round_k(type, x);
}

} // namespace ergo
