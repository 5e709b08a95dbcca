// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/figure/head_quantity.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace ergosphere {

namespace {

constexpr std::array<std::pair<HeadQuantity, const char*>, 5> keys{{{HeadQuantity::radius, "radius"},
                                                                    {HeadQuantity::alpha, "alpha"},
                                                                    {HeadQuantity::mass, "mass"},
                                                                    {HeadQuantity::drift, "drift"},
                                                                    {HeadQuantity::horizon, "horizon"}}};

} // namespace

QString key_of(HeadQuantity quantity) {
    return QLatin1String(keys[static_cast<std::size_t>(quantity)].second);
}

std::optional<HeadQuantity> head_quantity(const std::string& key) {
    for (const auto& [quantity, name] : keys) {
        if (key == name) {
            return quantity;
        }
    }
    return std::nullopt;
}

QString heads_title(HeadQuantity quantity) {
    switch (quantity) {
    case HeadQuantity::alpha:
        return QStringLiteral("Alpha of every head");
    case HeadQuantity::mass:
        return QStringLiteral("Gravity mass");
    case HeadQuantity::drift:
        return QStringLiteral("Drift of the gravity mass");
    case HeadQuantity::horizon:
        return QStringLiteral("Concentration horizon");
    case HeadQuantity::radius:
        break;
    }
    return QStringLiteral("Ball radius");
}

std::string observable_of(HeadQuantity quantity) {
    return quantity == HeadQuantity::radius ? "radius" : quantity == HeadQuantity::alpha ? "alpha" : "mass";
}

QString unit_of(HeadQuantity quantity, double start) {
    return quantity == HeadQuantity::horizon ? QStringLiteral("log10 of keys")
           : quantity == HeadQuantity::drift ? QStringLiteral("from %1").arg(start, 0, 'f', 3)
                                             : QString();
}

double usual_start(std::span<const float> masses) {
    std::vector<float> sorted(masses.begin(), masses.end());
    if (sorted.empty()) {
        return std::log1p(std::exp(0.5));
    }
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
    std::nth_element(sorted.begin(), middle, sorted.end());
    const std::array<double, 3> starts{std::log1p(std::exp(0.5)), 0.5, std::log1p(0.5)};
    return *std::min_element(starts.begin(), starts.end(), [&](double a, double b) {
        return std::abs(a - static_cast<double>(*middle)) < std::abs(b - static_cast<double>(*middle));
    });
}

float head_value(HeadQuantity quantity, float value, double start, double softening) {
    const auto x = static_cast<double>(value);
    if (quantity == HeadQuantity::drift) {
        return static_cast<float>(x - start);
    }
    if (quantity == HeadQuantity::horizon) {
        return static_cast<float>(x * x / softening / std::log(10.0));
    }
    return value;
}

} // namespace ergosphere
