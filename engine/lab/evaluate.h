// SPDX-License-Identifier: GPL-3.0-or-later
// How well a model predicts a text: negative log-likelihood over strided windows. Free functions, run on the
// caller's thread; long ones can be cancelled.
//
// A text longer than a window is read in windows [b, b + window), b = 0, stride, 2 stride, …; each predicts
// those of its tokens that no earlier window predicted, from the tokens before them in the same window. With
// stride = window no token is read twice and the first of each window is not predicted (window - 1
// predictions each, Kotodama specification §2.6); with a smaller stride every token but the text's first is.
// Sums run over all windows and are divided once.
#pragma once

#include "engine/generate/opened_model.h"
#include "engine/lab/trace.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace ergo {

struct EvaluationRequest {
    std::vector<std::int32_t> tokens; // [n]
    std::int64_t window = 0; ///< 0: 2048, or the context if that is shorter; the last token is only predicted
    std::int64_t stride = 0; ///< 0: half a window
};

struct Evaluation {
    std::int64_t tokens = 0; ///< predicted
    double nll = 0;          ///< sum over the predicted tokens of -log p, nats
    std::int64_t windows = 0, window = 0, stride = 0;
    std::int64_t rows = 0; ///< tokens run through the model
    double seconds = 0;

    double perplexity() const; ///< exp(nll / tokens)
    /// exp(nll / words), as language-model evaluation harnesses report it for WikiText.
    double word_perplexity(std::int64_t words) const;
    double bits_per_byte(std::int64_t bytes) const; ///< nll / (bytes ln 2)
};

/// Logits are held for one chunk of rows at a time. `params` are set before the first token. Throws
/// Error(usage) for fewer than two tokens, ids outside the vocabulary, a window beyond the model's positions
/// + 1 or a stride that is not 1 … window; Error(mismatch) when the logits are not finite.
Evaluation evaluate(const OpenedModel& opened, const EvaluationRequest& request, const Progress& progress,
                    const CancelToken& cancel, const ParamValues& params = {});

/// Words of a UTF-8 text: what stands between white space (Unicode's, and the separators U+001C … U+001F).
std::int64_t count_words(std::string_view text);

/// -log p(target) in nats from one row of logits; NaN when a logit is NaN or none is finite.
double negative_log_likelihood(std::span<const float> logits, std::int32_t target);

} // namespace ergo
