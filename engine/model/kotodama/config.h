// SPDX-License-Identifier: GPL-3.0-or-later
// Sizes of a Kotodama model. The checkpoint carries no configuration: sizes are told from tensor shapes, a
// config.json beside it is heard, and what neither says is assumed and said. Plain data, immutable after
// reading, any thread. Source: Kotodama specification §1.
#pragma once

#include "engine/checkpoint/checkpoint.h"
#include "engine/checkpoint/expression.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ergo::kotodama {

/// Names are the keys of config.json; values those of the published 108M model.
struct Config {
    std::int64_t hidden_size = 512, num_layers = 28;
    std::int64_t num_attention_heads = 4, num_kv_heads = 2, head_dim = 128;
    std::int64_t intermediate_size = 1408, vocab_size = 49152, max_position_embeddings = 4096;
    double rope_theta = 500000;
    double norm_eps = 1e-5;
    bool qk_norm = true, tie_word_embeddings = true;
    std::vector<std::int64_t> attn_res_boundaries{0, 3, 7, 12, 21, 25}; ///< ascending

    std::vector<std::string> assumed;  ///< keys whose value neither file nor user gave
    std::vector<std::string> warnings; ///< sentences

    bool is_boundary(std::int64_t layer) const;
    /// Keys that decide which tensors there are, for schema expressions.
    Variables variables() const;
    /// All keys with their values as text, for display.
    std::map<std::string, std::string> settings() const;
    /// config.json in the published form.
    std::string published() const;
};

/// From a config.json alone, absent keys taking the published values except the boundaries, which only 28
/// layers have. Throws Error(mismatch) naming the key.
Config parse_config(std::string_view json);

/// From the checkpoint's tensor shapes and its config.json; `knobs` (key to JSON value) win over both. Throws
/// Error(mismatch) naming the key that disagrees with a shape, or the key that must be given.
Config read_config(const Checkpoint& checkpoint, const std::map<std::string, std::string>& knobs = {});

/// True when the text is a config.json of this family.
bool is_config(std::string_view json);

} // namespace ergo::kotodama
