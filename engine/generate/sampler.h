// SPDX-License-Identifier: GPL-3.0-or-later
// Choosing the next token. Owned by one session's thread. Deterministic: same seed and logits, same choice.
#pragma once

#include "engine/backend/logit_parts.h"

#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <vector>

namespace ergo {

struct SamplingParams {
    double temperature = 0;    ///< 0: greedy
    std::int32_t top_k = 0;    ///< 0: off
    double top_p = 1;          ///< 1: off
    double min_p = 0;          ///< 0: off; keeps p >= min_p * largest p
    double repeat_penalty = 1; ///< 1: off; divides positive and multiplies negative logits of recent tokens
    std::int32_t repeat_window = 64;
    std::uint64_t seed = 0;
};

/// Throws Error(usage) naming the value that makes no sense.
void validate(const SamplingParams& params);

/// A named preset and the reason for it, shown beside it.
struct SamplingPreset {
    std::string name, reason;
    SamplingParams params;
};

/// Presets for a family ("moa", …), the recommended one first.
std::vector<SamplingPreset> sampling_presets(const std::string& family);

struct TokenChance {
    std::int32_t id = 0;
    float probability = 0; ///< of the untouched distribution (temperature 1, nothing cut)
};

struct Choice {
    std::int32_t id = 0;
    float probability = 0;                 ///< of the untouched distribution
    std::vector<TokenChance> alternatives; ///< the most likely tokens, most likely first
};

class Sampler {
  public:
    explicit Sampler(const SamplingParams& params);

    /// What logits had best be added up at (SummedLogits::temperature). Others will do, but take a pass over
    /// the vocabulary for every token.
    float temperature() const;

    /// `history` is the token log so far. Never returns an id whose logit is not finite. Throws
    /// Error(mismatch) where none is.
    Choice choose(const SummedLogits& logits, std::span<const std::int32_t> history,
                  std::size_t alternatives = 5);

    /// `id` taken whatever the distribution says. Uses up the same chance as choose(), so that what is drawn
    /// later does not depend on whether this token was drawn or taken. Throws Error(usage) for an id outside
    /// the vocabulary.
    Choice take(std::int32_t id, const SummedLogits& logits, std::size_t alternatives = 5);

    /// Uses up the chances of `tokens` tokens that are written already.
    void skip(std::int64_t tokens) {
        for (; tokens > 0; --tokens) {
            draw();
        }
    }

  private:
    std::int32_t pick(std::span<const float> logits, std::span<const LogitPart> parts);
    std::uint64_t draw() { return params_.temperature == 0 ? 0 : random_() >> 11; }

    SamplingParams params_;
    std::mt19937_64 random_;
};

} // namespace ergo
