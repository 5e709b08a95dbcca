// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/cpu/quant_layout.h"

#include "engine/base/half.h"

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

} // namespace

void pack_strip(const Tensor& matrix, DType form, std::int64_t strip, std::byte* to) {
    const std::int64_t outputs = matrix.shape().at(0), groups = groups_of(matrix.shape().at(1));
    GroupedRow row;
    for (std::int64_t lane = 0; lane < strip_outputs; ++lane) {
        const std::int64_t output = strip * strip_outputs + lane;
        if (output < outputs) {
            read_grouped_row(matrix, form, output, row);
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
                std::memcpy(at + (strip_outputs + lane) * 2, &row.minimums[i], 2);
                put_numbers_q4(q, lane, at + group_scale_bytes(form));
            }
        }
    }
}

void unpack_row(const std::byte* strips, DType form, std::int64_t row, std::span<float> out) {
    const auto inputs = static_cast<std::int64_t>(out.size());
    const std::int64_t lane = row % strip_outputs;
    const std::byte* const strip = strips + row / strip_outputs * strip_bytes(form, inputs);
    const auto half = [](const std::byte* p) {
        std::uint16_t bits;
        std::memcpy(&bits, p, sizeof bits);
        return f16_to_f32(bits);
    };
    for (std::int64_t i = 0; i < inputs; ++i) {
        const std::byte* const group = strip + i / group_inputs * strip_group_bytes(form);
        const std::int64_t s = i % group_inputs / step_inputs;
        const std::byte* const at = group + group_scale_bytes(form) + lane * step_inputs + i % step_inputs;
        const float scale = half(group + lane * 2);
        float value = 0;
        if (form == DType::q8) {
            value = scale * static_cast<float>(static_cast<int>(at[s * step_bytes]) - 128);
        } else {
            const int both = static_cast<int>(at[s % (group_steps / 2) * step_bytes]);
            const int q = s < group_steps / 2 ? both & 15 : both >> 4;
            value = scale * static_cast<float>(q) + half(group + (strip_outputs + lane) * 2);
        }
        out[static_cast<std::size_t>(i)] = value;
    }
}

} // namespace ergo::cpu
