// SPDX-License-Identifier: GPL-3.0-or-later
// What a sampler needs to know of logits before it looks at any of them: for every 256 the largest, and what
// they add up to under a softmax. With it a token is drawn by looking at one or a few parts of the
// vocabulary. Plain functions, any thread; the reference for the op SumLogits (op.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ergo {

inline constexpr std::int64_t logits_a_part = 256;

/// One part, as three floats in a buffer. What is not finite counts nothing.
struct LogitPart {
    float largest; ///< -infinity where nothing is finite
    float sum;     ///< of e^(l - largest); 0 where nothing is finite
    float warm;    ///< of e^((l - largest) / temperature)
};
inline constexpr std::int64_t floats_a_part = 3;
static_assert(sizeof(LogitPart) == floats_a_part * sizeof(float));

constexpr std::int64_t logit_parts(std::int64_t vocabulary) {
    return (vocabulary + logits_a_part - 1) / logits_a_part;
}

/// One part. `temperature` 0: as 1.
LogitPart sum_part(std::span<const float> logits, float temperature);
/// All parts of `logits`.
std::vector<LogitPart> sum_parts(std::span<const float> logits, float temperature);

/// Logits [vocabulary] with their parts, as a step leaves both. A view.
struct SummedLogits {
    std::span<const float> logits{};
    std::span<const LogitPart> parts{}; ///< empty: nobody has added them up
    float temperature = 0;            ///< of the parts' warm sums
};

} // namespace ergo
