// SPDX-License-Identifier: GPL-3.0-or-later
// Traces: everything observable of a forward pass over given tokens, as named arrays. Free functions, run on
// the caller's thread; long ones can be cancelled. Arrays are named and shaped as the model's observables
// say.
#pragma once

#include "engine/backend/backend.h"
#include "engine/base/cancel.h"
#include "engine/model/model.h"
#include "engine/tensor/npy.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ergo {

struct TraceRequest {
    std::vector<std::int32_t> tokens;
    std::vector<std::string> observe; ///< globs; empty: all observables that are traced by default
    bool decode = false; ///< one token at a time through the cache, else one pass over all of them
    std::uint64_t max_bytes = std::uint64_t{2} << 30; ///< refuse larger traces
};

using NamedArrays = std::vector<std::pair<std::string, NpyArray>>;

/// Values set before the first token, by parameter.
using ParamValues = std::vector<std::pair<ParamId, std::vector<float>>>;

/// Arrays named exactly as the observables, after "tokens" (int32 [n]) and "logits" (float32 [n,
/// vocabulary]), all from one forward pass. Pair maps are [heads, n, n]; when decoding, pairs with a later
/// key are 0. Kept masks are uint8. Throws Error(resources) naming an observe list that fits when the arrays
/// would exceed max_bytes, Error(usage) for tokens outside the vocabulary, more tokens than positions, or a
/// pattern that matches nothing.
NamedArrays run_trace(const Model& model, Backend& backend, const TraceRequest& request,
                      const CancelToken& cancel, const Progress& progress, const ParamValues& params = {});

/// Logits at every position, float32 [n, vocabulary]. `chunk`: tokens a pass; 0: all of them at once.
NpyArray run_logits(const Model& model, Backend& backend, const std::vector<std::int32_t>& tokens,
                    bool decode, const CancelToken& cancel, const Progress& progress, std::int64_t chunk = 0,
                    const ParamValues& params = {});

} // namespace ergo
