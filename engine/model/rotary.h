// SPDX-License-Identifier: GPL-3.0-or-later
// Rotation tables of plain rotary positions as the published frameworks form them: frequency, angle, cosine
// and sine in float32. Free functions, any thread. Source: Gravity-2 specification §6.
#pragma once

#include "engine/tensor/tensor.h"

#include <cstdint>
#include <vector>

namespace ergo {

/// theta^(-2 j / dim), j < dim / 2: the power rounded to float32, then its float32 reciprocal.
std::vector<float> rotary_frequencies(double theta, std::int64_t dim);

struct RotaryTables {
    Tensor cos, sin; // [positions, dim], each half the same: for half-split pairing
};
/// Worked out when they are first read. Throws Error(resources) when they would exceed 4 GiB.
RotaryTables rotary_tables(double theta, std::int64_t dim, std::int64_t positions);

} // namespace ergo
