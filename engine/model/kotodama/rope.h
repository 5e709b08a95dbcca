// SPDX-License-Identifier: GPL-3.0-or-later
// Rotary tables in float32, angle products included, as the model was trained with: near position 4095 the
// rounding of the angle is worth 2.5e-4 radian. Pure functions, any thread. Source: Kotodama specification
// §2.4 and appendix D.
#pragma once

#include <cstdint>
#include <vector>

namespace ergo::kotodama {

/// theta^(-2 j / dim), j < dim / 2, rounded to float32; for theta 500000 and dim 128 the trainer's exact
/// bits.
std::vector<float> rotary_frequencies(std::int64_t dim, double theta);

/// cos and sin, [positions, dim] each: column j and j + dim / 2 turn by position * frequency j.
struct RotaryTables {
    std::vector<float> cos, sin;
};
RotaryTables rotary_tables(std::int64_t positions, std::int64_t dim, double theta);

} // namespace ergo::kotodama
