// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/cpu/quant_layout.h"

#include "engine/base/half.h"

#include <algorithm>
#include <cstring>

namespace ergo::cpu {

namespace {

constexpr std::int64_t step_inputs = 4, group_steps = group_inputs / step_inputs;
constexpr std::int64_t step_bytes = strip_outputs * step_inputs;

void put_numbers_q8(const std::int8_t* q, std::int64_t lane, std::byte* to) {
    for (std::int64_t s = 0; s < group_steps; ++s) {
        for (std::int64_t i = 0; i < step_inputs; ++i) {
            to[s * step_bytes + lane * step_inputs + i] =
                static_cast<std::byte>(q[s * step_inputs + i] + 128);
        }
    }
}

void put_numbers_q4(const std::int8_t* q, std::int64_t lane, std::byte* to) {
    for (std::int64_t s = 0; s < group_steps / 2; ++s) {
        for (std::int64_t i = 0; i < step_inputs; ++i) {
            const int low = q[s * step_inputs + i], high = q[s * step_inputs + i + group_inputs / 2];
            to[s * step_bytes + lane * step_inputs + i] = static_cast<std::byte>(low | high << 4);
        }
    }
}

void put_scale(std::uint16_t bits, std::int64_t lane, std::byte* to) {
    std::memcpy(to + lane * 2, &bits, sizeof bits);
}

/// What q5_k and q6_k have beyond q4: number s * 4 + i of a group at `to`, which begins as zeros.
void put_high_bits(DType form, const std::int8_t* q, std::int64_t lane, std::byte* to) {
    for (std::int64_t s = 0; s < group_steps; ++s) {
        const bool six = form == DType::q6_k;
        const std::int64_t block = six ? s % 4 / 2 : 0, shift = six ? s % 2 * 4 + s / 4 * 2 : s;
        for (std::int64_t i = 0; i < step_inputs; ++i) {
            to[block * step_bytes + lane * step_inputs + i] |=
                static_cast<std::byte>(q[s * step_inputs + i] >> 4 << shift);
        }
    }
}

constexpr std::int64_t nibble_bytes = step_bytes * group_steps / 2;

/// Eight groups of one output.
void put_super_block(DType form, const SuperBlock& block, std::int64_t lane, std::byte* to) {
    put_scale(block.scale, lane, to);
    if (has_minimums(form)) {
        put_scale(block.minimum, strip_outputs + lane, to);
    }
    for (std::int64_t g = 0; g < super_groups; ++g) {
        std::byte* const at = to + super_scale_bytes(form) + g * strip_group_bytes(form);
        const bool six = form == DType::q6_k;
        at[lane] = static_cast<std::byte>(block.scales[six ? 2 * g : g]);
        at[strip_outputs + lane] =
            six ? static_cast<std::byte>(block.scales[2 * g + 1]) : static_cast<std::byte>(block.minimums[g]);
        std::int8_t numbers[group_inputs], lows[group_inputs];
        for (std::int64_t i = 0; i < group_inputs; ++i) {
            numbers[i] = static_cast<std::int8_t>(block.numbers[g * group_inputs + i] + (six ? 32 : 0));
            lows[i] = numbers[i] & 15;
        }
        put_numbers_q4(lows, lane, at + group_scale_bytes(form));
        if (number_bits(form) > 4) {
            put_high_bits(form, numbers, lane, at + group_scale_bytes(form) + nibble_bytes);
        }
    }
}

void pack_super_strip(const Tensor& matrix, std::int64_t strip, std::byte* to) {
    const DType form = matrix.dtype();
    const std::int64_t outputs = matrix.shape().at(0), blocks = matrix.shape().at(1) / super_inputs;
    const std::size_t size = block_bytes(form);
    std::memset(to, 0, static_cast<std::size_t>(strip_bytes(form, matrix.shape()[1])));
    for (std::int64_t lane = 0; lane < std::min(strip_outputs, outputs - strip * strip_outputs); ++lane) {
        const std::int64_t output = strip * strip_outputs + lane;
        const std::byte* from = matrix.bytes().data() + static_cast<std::size_t>(output * blocks) * size;
        for (std::int64_t b = 0; b < blocks; ++b, from += size) {
            SuperBlock block;
            take_apart(form, from, block);
            put_super_block(form, block, lane, to + group_offset(form, b * super_groups));
        }
    }
}

float half_at(const std::byte* p) {
    std::uint16_t bits;
    std::memcpy(&bits, p, sizeof bits);
    return f16_to_f32(bits);
}

/// Eight groups of one output.
void unpack_super_block(const std::byte* from, DType form, std::int64_t lane, float* out) {
    SuperBlock block;
    std::memcpy(&block.scale, from + lane * 2, 2);
    if (has_minimums(form)) {
        std::memcpy(&block.minimum, from + (strip_outputs + lane) * 2, 2);
    }
    const bool six = form == DType::q6_k;
    for (std::int64_t g = 0; g < super_groups; ++g) {
        const std::byte* const at = from + super_scale_bytes(form) + g * strip_group_bytes(form);
        block.scales[six ? 2 * g : g] = static_cast<std::int8_t>(at[lane]);
        if (six) {
            block.scales[2 * g + 1] = static_cast<std::int8_t>(at[strip_outputs + lane]);
        } else {
            block.minimums[g] = static_cast<std::uint8_t>(at[strip_outputs + lane]);
        }
        const std::byte* const numbers = at + group_scale_bytes(form) + lane * step_inputs;
        for (std::int64_t i = 0; i < group_inputs; ++i) {
            const std::int64_t s = i / step_inputs, byte = i % step_inputs;
            int q = static_cast<int>(numbers[s % 4 * step_bytes + byte]) >> s / 4 * 4 & 15;
            const std::byte* const high = numbers + nibble_bytes + byte;
            if (form == DType::q5_k) {
                q |= (static_cast<int>(*high) >> s & 1) << 4;
            } else if (six) {
                const int bits =
                    static_cast<int>(high[s % 4 / 2 * step_bytes]) >> (s % 2 * 4 + s / 4 * 2) & 3;
                q = (q | bits << 4) - 32;
            }
            block.numbers[g * group_inputs + i] = static_cast<std::int8_t>(q);
        }
    }
    values_of(form, block, out);
}

} // namespace

void pack_strip(const Tensor& matrix, DType form, std::int64_t strip, std::byte* to) {
    if (is_super_block(form)) {
        return pack_super_strip(matrix, strip, to);
    }
    const std::int64_t outputs = matrix.shape().at(0), groups = groups_of(matrix.shape().at(1));
    const DType rounded = form == DType::q4_0 ? DType::q4 : form;
    GroupedRow row;
    for (std::int64_t lane = 0; lane < strip_outputs; ++lane) {
        const std::int64_t output = strip * strip_outputs + lane;
        if (output < outputs) {
            read_grouped_row(matrix, rounded, output, row);
        } else {
            row.resize(matrix.shape()[1]);
        }
        for (std::int64_t g = 0; g < groups; ++g) {
            const std::int8_t* q = row.numbers.data() + g * group_inputs;
            std::byte* const at = to + g * strip_group_bytes(form);
            const auto i = static_cast<std::size_t>(g);
            std::memcpy(at + lane * 2, &row.scales[i], 2);
            if (form == DType::q8) {
                put_numbers_q8(q, lane, at + group_scale_bytes(form));
            } else {
                if (form == DType::q4) {
                    std::memcpy(at + (strip_outputs + lane) * 2, &row.minimums[i], 2);
                }
                put_numbers_q4(q, lane, at + group_scale_bytes(form));
            }
        }
    }
}

void unpack_row(const std::byte* strips, DType form, std::int64_t row, std::span<float> out) {
    const auto inputs = static_cast<std::int64_t>(out.size());
    const std::int64_t lane = row % strip_outputs;
    const std::byte* const strip = strips + row / strip_outputs * strip_bytes(form, inputs);
    if (is_super_block(form)) {
        for (std::int64_t i = 0; i < inputs; i += super_inputs) {
            unpack_super_block(strip + group_offset(form, i / group_inputs), form, lane, out.data() + i);
        }
        return;
    }
    for (std::int64_t i = 0; i < inputs; ++i) {
        const std::byte* const group = strip + i / group_inputs * strip_group_bytes(form);
        const std::int64_t s = i % group_inputs / step_inputs;
        const std::byte* const at = group + group_scale_bytes(form) + lane * step_inputs + i % step_inputs;
        const float scale = half_at(group + lane * 2);
        float value = 0;
        if (form == DType::q8) {
            value = scale * static_cast<float>(static_cast<int>(at[s * step_bytes]) - 128);
        } else {
            const int both = static_cast<int>(at[s % (group_steps / 2) * step_bytes]);
            const int q = s < group_steps / 2 ? both & 15 : both >> 4;
            value = scale * static_cast<float>(q) +
                    (form == DType::q4 ? half_at(group + (strip_outputs + lane) * 2) : -8 * scale);
        }
        out[static_cast<std::size_t>(i)] = value;
    }
}

} // namespace ergo::cpu
