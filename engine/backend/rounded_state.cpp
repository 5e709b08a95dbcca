// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/rounded_state.h"

#include "engine/base/half.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace ergo {

namespace {

/// To 11 bits of mantissa, ties away from 0: the numbers that f16 has, in float32's range.
float eleven_bits(float value) {
    constexpr int dropped = 13;
    const auto bits = std::bit_cast<std::uint32_t>(value) + (1u << (dropped - 1));
    return std::bit_cast<float>(bits >> dropped << dropped);
}

} // namespace

bool can_round(const StateInfo& state) {
    const std::int64_t dim = state.width / state.heads.count;
    return state.heads.dim > 0 && dim == state.heads.dim && dim % state_group == 0;
}

float round_group(std::span<const float, state_group> x, std::int8_t* out) {
    float largest = 0;
    bool finite = true;
    for (const float value : x) {
        largest = std::max(largest, std::abs(value));
        finite = finite && std::isfinite(value);
    }
    const float scale = finite ? eleven_bits(largest / 127) : std::numeric_limits<float>::quiet_NaN();
    // below, the quotient's own rounding would matter; such a group is 0 beside anything else
    const bool zero = !finite || scale < 1e-30f;
    const float inverse = zero ? 0 : 1 / scale;
    for (std::int64_t i = 0; i < state_group; ++i) {
        out[i] = zero ? 0 : static_cast<std::int8_t>(std::lrint(x[static_cast<std::size_t>(i)] * inverse));
    }
    return finite && zero ? 0 : scale;
}

void round_row(const StateInfo& state, std::span<float> row) {
    if (state.stored == DType::bf16) {
        for (float& value : row) {
            value = bf16_to_f32(f32_to_bf16(value));
        }
    } else if (state.stored == DType::q8) {
        for (std::size_t at = 0; at < row.size(); at += state_group) {
            std::array<std::int8_t, state_group> whole;
            const auto group = row.subspan(at).first<state_group>();
            const float scale = round_group(group, whole.data());
            for (std::size_t i = 0; i < whole.size(); ++i) {
                group[i] = scale * static_cast<float>(whole[i]);
            }
        }
    }
}

} // namespace ergo
