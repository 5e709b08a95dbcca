// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/figure/weight_scale.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ergosphere {

void rescale(WeightScale scale, std::span<float> row) {
    if (scale == WeightScale::weight) {
        return;
    }
    const auto visible =
        static_cast<float>(std::count_if(row.begin(), row.end(), [](float weight) { return weight > 0; }));
    for (float& weight : row) {
        weight *= visible;
        if (scale == WeightScale::log_ratio) {
            weight = weight > 0 ? std::log2(weight) : std::numeric_limits<float>::quiet_NaN();
        }
    }
}

QString unit_of(WeightScale scale) {
    return scale == WeightScale::weight  ? QStringLiteral("weight")
           : scale == WeightScale::ratio ? QStringLiteral("× uniform")
                                         : QStringLiteral("log2 of × uniform");
}

QString quantity_of(WeightScale scale) {
    return scale == WeightScale::weight ? QStringLiteral("attention") : QStringLiteral("relative");
}

std::optional<WeightScale> weight_scale(const std::string& word) {
    return word == "weight"  ? std::optional(WeightScale::weight)
           : word == "ratio" ? std::optional(WeightScale::ratio)
           : word == "log"   ? std::optional(WeightScale::log_ratio)
                             : std::nullopt;
}

} // namespace ergosphere
