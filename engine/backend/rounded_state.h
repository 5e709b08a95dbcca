// SPDX-License-Identifier: GPL-3.0-or-later
// Keys and values remembered in fewer bits. Every backend that can rounds a row the same way, so a session
// that moves or is imported repeats to the bit: what was rounded once rounds to itself. Pure functions, any
// thread.
#pragma once

#include "engine/backend/plan.h"

#include <cstdint>
#include <span>

namespace ergo {

/// Channels of a head that share a scale in q8. A head that is rounded has a multiple of them.
inline constexpr std::int64_t state_group = 32;

/// Whether a state can be kept in fewer bits: keys or values whose heads have a multiple of state_group
/// channels.
bool can_round(const StateInfo& state);

/// Bytes of `channels` channels of a head at one position, scales included.
constexpr std::int64_t stored_bytes(DType type, std::int64_t channels) {
    switch (type) {
    case DType::bf16:
        return 2 * channels;
    case DType::q8:
        return channels + channels / state_group * std::int64_t{sizeof(float)};
    default:
        return 4 * channels;
    }
}

/// One group as q8: x[i] becomes scale * out[i], |out[i]| <= 127. The scale is the largest |x| / 127, rounded
/// to 11 bits, so that scale * out[i] is exact. A group with a number that is not finite reads as NaN.
float round_group(std::span<const float, state_group> x, std::int8_t* out);

/// What a row [state.width] reads as once it is remembered.
void round_row(const StateInfo& state, std::span<float> row);

} // namespace ergo
