// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/kotodama/rope.h"

#include <array>
#include <bit>
#include <cmath>

namespace ergo::kotodama {

namespace {

/// float32 bits of the trainer's frequencies for theta 500000 and heads of 128: it computes the power itself
/// in float32, which moves some of them by a unit in the last place. (Kotodama specification appendix D)
constexpr std::array<std::uint32_t, 64> kTrained{
    0x3f800000, 0x3f508ac1, 0x3f29e1c6, 0x3f0a6384, 0x3ee177bc, 0x3eb7ab7d, 0x3e959ee3, 0x3e73c461,
    0x3e4693b0, 0x3e21c3a0, 0x3e03c6a0, 0x3dd6b19c, 0x3daee4ad, 0x3d8e7898, 0x3d681e67, 0x3d3d1684,
    0x3d1a08c8, 0x3cfaf53f, 0x3ccc6f49, 0x3ca68939, 0x3c87a9c3, 0x3c5d06ec, 0x3c340d6d, 0x3c12ac7f,
    0x3beef74f, 0x3bc2aa76, 0x3b9e9402, 0x3b812e35, 0x3b527720, 0x3b2b72dc, 0x3b0baa41, 0x3ae38c10,
    0x3ab95d21, 0x3a970023, 0x3a7603ea, 0x3a486886, 0x3a23418d, 0x3a04fdbf, 0x39d8ac81, 0x39b08199,
    0x398fc8f8, 0x396a426f, 0x393ed4f4, 0x391b7475, 0x38fd45c3, 0x38ce51f5, 0x38a8126b, 0x3888ea0f,
    0x385f10c4, 0x3835b687, 0x381406cb, 0x37f12b80, 0x37c47610, 0x37a00a69, 0x37825f34, 0x37546808,
    0x372d07a7, 0x370cf400, 0x36e5a54d, 0x36bb12c7, 0x369864a7, 0x367848c2, 0x364a41b0, 0x3624c2ff};

} // namespace

std::vector<float> rotary_frequencies(std::int64_t dim, double theta) {
    std::vector<float> out(static_cast<std::size_t>(dim / 2));
    const bool trained = theta == 500000 && out.size() == kTrained.size();
    for (std::size_t j = 0; j < out.size(); ++j) {
        out[j] = trained ? std::bit_cast<float>(kTrained[j])
                         : static_cast<float>(
                               std::pow(theta, -2.0 * static_cast<double>(j) / static_cast<double>(dim)));
    }
    return out;
}

RotaryTables rotary_tables(std::int64_t positions, std::int64_t dim, double theta) {
    const std::vector<float> frequencies = rotary_frequencies(dim, theta);
    const std::size_t half = frequencies.size(), width = 2 * half,
                      count = static_cast<std::size_t>(positions);
    RotaryTables out{std::vector<float>(count * width), std::vector<float>(count * width)};
    for (std::size_t t = 0; t < count; ++t) {
        for (std::size_t j = 0; j < half; ++j) {
            const float angle = static_cast<float>(t) * frequencies[j]; // the product is rounded to float32
            const auto cosine = static_cast<float>(std::cos(static_cast<double>(angle)));
            const auto sine = static_cast<float>(std::sin(static_cast<double>(angle)));
            for (const std::size_t column : {j, j + half}) {
                out.cos[t * width + column] = cosine;
                out.sin[t * width + column] = sine;
            }
        }
    }
    return out;
}

} // namespace ergo::kotodama
