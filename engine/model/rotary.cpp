// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/rotary.h"

#include "engine/base/error.h"

#include <cmath>

namespace ergo {

namespace {
constexpr std::int64_t most_bytes = std::int64_t{4} << 30;
}

std::vector<float> rotary_frequencies(double theta, std::int64_t dim) {
    std::vector<float> out(static_cast<std::size_t>(dim / 2));
    for (std::size_t j = 0; j < out.size(); ++j) {
        const double exponent = 2.0 * static_cast<double>(j) / static_cast<double>(dim);
        out[j] = 1.0f / static_cast<float>(std::pow(theta, exponent));
    }
    return out;
}

RotaryTables rotary_tables(double theta, std::int64_t dim, std::int64_t positions) {
    if (positions > most_bytes / (2 * dim * static_cast<std::int64_t>(sizeof(float)))) {
        throw Error(ErrorKind::resources,
                    "Rotary tables for " + std::to_string(positions) + " positions would exceed 4 GiB.",
                    {.advice = "Ask for a smaller context."});
    }
    auto tables = Tensor::made_later({positions, dim}, 2, [theta, dim, positions] {
        const std::vector<float> frequencies = rotary_frequencies(theta, dim);
        const auto half = frequencies.size(), count = static_cast<std::size_t>(positions);
        std::vector<float> cosine(count * 2 * half), sine(cosine.size());
        for (std::size_t t = 0; t < count; ++t) {
            for (std::size_t j = 0; j < half; ++j) {
                const float angle = static_cast<float>(t) * frequencies[j];
                const std::size_t at = t * 2 * half + j;
                cosine[at] = cosine[at + half] = std::cos(angle);
                sine[at] = sine[at + half] = std::sin(angle);
            }
        }
        return std::vector{std::move(cosine), std::move(sine)};
    });
    return {std::move(tables[0]), std::move(tables[1])};
}

} // namespace ergo
