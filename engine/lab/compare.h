// SPDX-License-Identifier: GPL-3.0-or-later
// How far one model's predictions are from another's: what rounding the weights costs. Free functions, run on
// the caller's thread; can be cancelled.
#pragma once

#include "engine/generate/opened_model.h"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace ergo {

struct Comparison {
    std::int64_t tokens = 0;    ///< positions compared
    double mean_divergence = 0; ///< mean over positions of sum p log(p / q), p the original's, nats
    double largest_divergence = 0;
    double largest_logit_difference = 0;
    double largest_logit = 0; ///< of the original, in magnitude
    double same_first = 0;    ///< share of positions where both give the same token the highest logit
};

/// Tokens that are read from an empty context.
using TokenTexts = std::vector<std::vector<std::int32_t>>;

/// Predictions of `other` against those of `original` after every token of `texts`; long ones are cut into
/// windows of 512 tokens (or the context) that begin anew. Throws Error(usage) for vocabularies that differ
/// and tokens outside them, Error(mismatch) when logits are not finite.
Comparison compare(const OpenedModel& original, const OpenedModel& other, const TokenTexts& texts,
                   const Progress& progress, const CancelToken& cancel);

/// The fixed texts that quantised models are measured over: short questions with their answers, each a
/// conversation in the model's chat format. Without a tokenizer, ids that are the same for everyone.
TokenTexts comparison_texts(const OpenedModel& opened);

/// What rounding costs: `source` opened with `rounded` against itself as it is stored, keys and values in
/// f32, over comparison_texts; both on the CPU, with a context of at most 512 tokens.
Comparison rounding_cost(const std::string& source, OpenModelOptions rounded, const Progress& progress,
                         const CancelToken& cancel);

/// What a comparison leaves in the metadata of a converted model (checkpoint/grouped_container.h).
std::map<std::string, std::string> comparison_metadata(const Comparison& comparison);

} // namespace ergo
