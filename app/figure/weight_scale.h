// SPDX-License-Identifier: GPL-3.0-or-later
// Attention weights against what an even look at all visible keys would give: without it a head that spreads
// widely looks blank. Free functions, any thread. Source: Gravity-2 specification §7.5.
#pragma once

#include <QString>

#include <optional>
#include <span>
#include <string>

namespace ergosphere {

enum class WeightScale : unsigned char {
    weight,
    ratio,    ///< weight × visible keys: 1 is an even look
    log_ratio ///< its logarithm to base 2: 0 is an even look, 1 twice as much
};

/// One row of one head in place. Keys of weight 0 are not visible: they count for nothing, and their
/// logarithm is NaN.
void rescale(WeightScale scale, std::span<float> row);

/// "weight", "× uniform", "log2 of × uniform".
QString unit_of(WeightScale scale);
/// How `autofit` treats it: "attention" or "relative".
QString quantity_of(WeightScale scale);
/// "weight", "ratio", "log"; nothing for another word.
std::optional<WeightScale> weight_scale(const std::string& word);

} // namespace ergosphere
