// SPDX-License-Identifier: GPL-3.0-or-later
// How often a head's distances break the triangle inequality over the remembered keys. Pure functions, any
// thread. Source: MoA specification §6.8.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ergo::moa {

/// Index triples of n points, the same for every head and layer: 256 draws of a fixed congruential generator,
/// those with a repeated index dropped; none for n < 3.
std::vector<std::array<std::int64_t, 3>> triangle_triples(std::int64_t n);

/// `points` [n, dim]: keys as they enter the score; `scale` [dim] multiplies them (root of the metric's
/// diagonal), may be empty. Returns rate and mean excess for the metric itself (root of the squared distance;
/// the angle for "cosine"), then for the form in the score (squared distance; 1 - cos). Float64 throughout.
std::array<double, 4> triangle_violation(std::span<const double> points, std::int64_t dim,
                                         std::span<const double> scale, const std::string& metric);

} // namespace ergo::moa
