// SPDX-License-Identifier: GPL-3.0-or-later
// What a map of sites by heads can show of a head. Free functions and values, any thread.
#pragma once

#include <QString>

#include <optional>
#include <span>
#include <string>

namespace ergosphere {

enum class HeadQuantity : unsigned char {
    radius,  ///< of its ball
    alpha,   ///< its own factor of the scores
    mass,    ///< M of gravity attention
    drift,   ///< M less the usual start of masses
    horizon, ///< decimal logarithm of e^(M²/ε): how many far keys one coincident key outweighs
};

/// "radius", "alpha", "mass", "drift", "horizon".
QString key_of(HeadQuantity quantity);
/// The quantity of that key.
std::optional<HeadQuantity> head_quantity(const std::string& key);
/// A figure's title: "Ball radius", "Gravity mass" …
QString heads_title(HeadQuantity quantity);
/// Name of the observable it is made from: "radius", "alpha", "mass".
std::string observable_of(HeadQuantity quantity);
/// For a figure's colour bar: "log10 of keys", "from 0.974" (the start of a drift); empty for none.
QString unit_of(HeadQuantity quantity, double start);

/// The raw value masses were given before training, as far as it can be told: the nearest to their median of
/// the mass 0.974 (raw value 0.5), 0.5 and 0.405 (raw value ln 0.5). (Gravity-2 specification §5)
double usual_start(std::span<const float> masses);

/// From the observable's value; `start` and `softening` (ε) matter to masses only.
float head_value(HeadQuantity quantity, float value, double start, double softening);

} // namespace ergosphere
