// SPDX-License-Identifier: GPL-3.0-or-later
// config.json of a Qwen2-class model, in both spellings of the framework that writes it. Plain data,
// immutable after parse, any thread. Source: Gravity-2 specification §3.
#pragma once

#include "engine/checkpoint/expression.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ergo::qwen2 {

struct Config {
    std::int64_t vocab_size = 0, hidden_size = 0, intermediate_size = 0, num_hidden_layers = 0;
    std::int64_t num_attention_heads = 0, num_key_value_heads = 0, head_dim = 0;
    std::int64_t max_position_embeddings = 32768;
    double rope_theta = 0, rms_norm_eps = 1e-6;
    std::optional<bool> tie_word_embeddings; ///< absent: tied when no lm_head.weight is stored
    std::string model_type;                  ///< what the file calls itself, may be empty
    std::vector<std::string> warnings;       ///< keys that disagree with one another

    /// Throws Error(format) for text that is no JSON object, Error(mismatch) for a missing, ill-typed or
    /// impossible value, Error(unsupported) by name for what this program does not compute (rope scaling,
    /// sliding windows, quantised weights, other activations).
    static Config parse(std::string_view json);

    std::int64_t group() const { return num_attention_heads / num_key_value_heads; }
    /// For schema expressions and display.
    Variables variables() const;
    /// config.json as the framework's 5.x writes it; `dtype` such as "bfloat16".
    std::string published(const std::string& dtype) const;
};

/// Shapes that models were published in, by name.
std::vector<std::string> published_names();
/// Throws Error(usage) naming those there are.
Config published_config(const std::string& name);

} // namespace ergo::qwen2
