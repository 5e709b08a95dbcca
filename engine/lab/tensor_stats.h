// SPDX-License-Identifier: GPL-3.0-or-later
// What the numbers of one stored tensor look like, read in pieces so that a tensor larger than memory can be
// measured and the caller can stop. Free functions, run on the caller's thread.
#pragma once

#include "engine/base/cancel.h"
#include "engine/tensor/tensor.h"

#include <array>
#include <cstdint>

namespace ergo {

struct TensorStats {
    static constexpr int bins = 48;

    std::int64_t count = 0, zeros = 0;
    std::int64_t not_finite = 0;                      ///< NaN and infinities: in none of the numbers below
    double min = 0, max = 0, mean = 0, deviation = 0; ///< 0 when nothing is finite
    /// Equal bins from min to max; all in the first when they are equal.
    std::array<std::int64_t, bins> histogram{};
};

/// Throws Error(cancelled), and Error(unsupported) for an element type that is no number.
TensorStats measure_tensor(const Tensor& tensor, const CancelToken& cancel, const Progress& progress = {});

} // namespace ergo
