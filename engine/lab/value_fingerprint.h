// SPDX-License-Identifier: GPL-3.0-or-later
// What the values of a tensor say about its part in a MoA model: short training leaves many near where they
// started (MoA specification §2.5). Plain values, any thread.
#pragma once

#include "engine/model/moa/config.h"
#include "engine/tensor/tensor.h"

#include <string>

namespace ergo {

class ValueFingerprint {
  public:
    /// Reads at most its first 65536 values.
    explicit ValueFingerprint(const Tensor& tensor);

    double mean() const { return mean_; }
    double deviation() const { return deviation_; }

    /// -1 … 1: how well the values fit a role; 0 where values say nothing.
    double fits(const std::string& role, const moa::Config& config) const;

  private:
    double near(double value, double width) const; // 1 at `value`, falling to -1 far from it

    bool known_ = false; // there are float values
    double mean_ = 0, deviation_ = 0, first_ = 0, least_ = 0, most_ = 0;
    bool falls_ = false; // each value is below the one before it
};

/// Which map ("raw", "exp", "softplus", "square") leads from the stored mean to the initial value.
struct MapGuess {
    std::string map = "raw";
    bool sure = false; ///< one fits clearly, the others do not
};
/// `spread`: how far the stored values lie apart; trained ones have left where they started and say nothing.
MapGuess guess_map(double stored, double initial, double spread = 0);

} // namespace ergo
