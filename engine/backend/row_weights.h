// SPDX-License-Identifier: GPL-3.0-or-later
// Attention weights for people, from what a backend leaves of a row. A free function, any thread.
#pragma once

#include <span>

namespace ergo {

/// out[j] = exp(logits[j] - maximum) / sum; 0 where a logit is -infinity (masked), and everywhere when sum is
/// 0 (nothing kept). `out` is as long as `logits`. Every decoded token pays for this when its rows are
/// watched, so it runs with the widest vectors of the machine.
void row_weights(std::span<const float> logits, float maximum, float sum, std::span<float> out);

} // namespace ergo
