// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/moa/ti_violation.h"

#include <algorithm>
#include <cmath>

namespace ergo::moa {

namespace {

/// The points scaled by the metric, or normalised for the angle.
std::vector<double> prepared(std::span<const double> points, std::size_t dim, std::span<const double> scale,
                             bool angular) {
    std::vector<double> out(points.begin(), points.end());
    for (std::size_t row = 0; row + dim <= out.size(); row += dim) {
        double norm = 0;
        for (std::size_t c = 0; c < dim; ++c) {
            norm += out[row + c] * out[row + c];
        }
        norm = std::max(std::sqrt(norm), 1e-6);
        for (std::size_t c = 0; c < dim; ++c) {
            out[row + c] = angular         ? out[row + c] / norm
                           : scale.empty() ? out[row + c]
                                           : out[row + c] * scale[c];
        }
    }
    return out;
}

} // namespace

std::vector<std::array<std::int64_t, 3>> triangle_triples(std::int64_t n) {
    std::vector<std::array<std::int64_t, 3>> out;
    std::uint32_t x = 12345;
    for (int draw = 0; draw < (n >= 3 ? 256 : 0); ++draw) {
        std::array<std::int64_t, 3> triple{};
        for (std::int64_t& each : triple) {
            x = 1664525u * x + 1013904223u;
            each = static_cast<std::int64_t>(x >> 8) % n;
        }
        if (triple[0] != triple[1] && triple[1] != triple[2] && triple[0] != triple[2]) {
            out.push_back(triple);
        }
    }
    return out;
}

std::array<double, 4> triangle_violation(std::span<const double> points, std::int64_t dim,
                                         std::span<const double> scale, const std::string& metric) {
    const bool angular = metric == "cosine";
    const auto width = static_cast<std::size_t>(dim);
    const auto triples = triangle_triples(static_cast<std::int64_t>(points.size() / width));
    std::array<double, 4> out{};
    if (triples.empty()) {
        return out;
    }
    const std::vector<double> x = prepared(points, width, scale, angular);
    const auto squared = [&](std::int64_t i, std::int64_t j) {
        double sum = 0;
        for (std::size_t c = 0; c < width; ++c) {
            const double d =
                x[static_cast<std::size_t>(i) * width + c] - x[static_cast<std::size_t>(j) * width + c];
            sum += d * d;
        }
        return sum;
    };
    for (const auto& [a, b, c] : triples) {
        const std::array q{squared(a, c), squared(a, b), squared(b, c)};
        std::array<double, 3> metric_form{}, score_form{};
        for (std::size_t i = 0; i < 3; ++i) { // chord^2 = 2 (1 - cos)
            metric_form[i] = angular ? 2 * std::asin(std::min(std::sqrt(q[i]) / 2, 1.0)) : std::sqrt(q[i]);
            score_form[i] = angular ? q[i] / 2 : q[i];
        }
        std::size_t at = 0;
        for (const auto& form : {metric_form, score_form}) {
            const double excess = form[0] - form[1] - form[2];
            if (excess > 1e-6 * form[0]) {
                out[at] += 1;
                out[at + 1] += excess;
            }
            at += 2;
        }
    }
    for (double& each : out) {
        each /= static_cast<double>(triples.size());
    }
    return out;
}

} // namespace ergo::moa
