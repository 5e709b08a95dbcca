// SPDX-License-Identifier: GPL-3.0-or-later
// Which law turns queries and keys into scores, and the readings of gravity that its published description
// leaves open, as knobs. Plain data, any thread. Source: Gravity-2 specification §7.3 and §8.
#pragma once

#include "engine/checkpoint/expression.h"

#include <map>
#include <string>
#include <vector>

namespace ergo::qwen2 {

struct Law {
    std::string attention = "auto"; ///< auto (gravity where there are masses), gravity, dot
    double gravity_eps = 0.1;       ///< added to the squared distance
    std::string scale_mode =
        "none";                 ///< none; qk: the squared distance, score: the score, times head_dim^-1/2
    bool clamp_distance = true; ///< squared distances never below 0
    std::string mass_power = "square"; ///< square: M^2 pulls, plain: M

    /// Lays knobs (name to JSON value or bare word) over these. `origin` names them in errors. Throws
    /// Error(usage) with the knob and the values it may take.
    void apply(const std::map<std::string, std::string>& knobs, const std::string& origin);
    /// The same from a semantics.json; "" changes nothing.
    void apply_json(const std::string& json);
    /// For display: every knob with its value.
    std::map<std::string, std::string> settings() const;
};

} // namespace ergo::qwen2
