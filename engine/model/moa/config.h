// SPDX-License-Identifier: GPL-3.0-or-later
// config.json of a MoA checkpoint: the published keys with their defaults, checked before anything uses them.
// Plain data, immutable after parsing, any thread. Source: MoA specification §1.1 and §6.1.
#pragma once

#include "engine/checkpoint/expression.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ergo::moa {

/// Defaults are Discovery's published values; an absent lm_* key takes the block's value. All keys are those
/// of config.json, so that a schema's expressions and a person's eyes find the same names.
struct Config {
    std::int64_t vocab_size = 48000, dim = 512, num_layers = 4;
    std::int64_t attn_heads = 16, mqa_q_heads = 16, lm_attn_heads = 16, lm_mqa_q_heads = 16;
    std::int64_t mixer_hidden = 768, lm_mixer_hidden = 768;
    std::int64_t ffn_hidden = 1536, lm_ffn_hidden = 1536;
    double ff_mult = 3, conv_mult = 2;
    std::int64_t conv_kernel = 5, lr_rank = 32, r_basis = 16;
    std::int64_t router_hidden = 128, lm_router_hidden = 128;
    std::int64_t router_topk = 4; ///< 4: soft mixture over all paths
    double router_temperature = 1, lm_router_temperature = 1;
    std::int64_t n_branches = 3;
    std::string metric = "maha_diag"; ///< l2, cosine or maha_diag
    double alpha_init = 1.5, maha_init = 1, radius_init = 3.5, origin_init_scale = 0;
    bool learn_alpha = true, learn_radius = true, use_balls = true;
    double energy_amplification = 3.1415;
    bool enable_v_energy = true, discrepancy_modulation = true;
    double theta_base = 10000;
    std::int64_t max_position_embeddings = 2048;
    std::int64_t max_seq_len_cached = 2048; ///< rows of stored rotary tables, and the default basis period
    bool tie_word_embeddings = true, enable_feature_gates = true, enable_router_gates = true;
    double layer_scale_init_value = 1e-4;    ///< 0: no LayerScale tensors
    std::optional<std::int64_t> window_size; ///< absent or 0: unlimited causal attention
    std::optional<std::int64_t> chunk_size;  ///< a schedule of the original; never changes results
    std::int64_t bos_token_id = 0, eos_token_id = 0, pad_token_id = 0;

    std::vector<std::string> warnings; ///< aliases that disagree

    /// Throws Error(mismatch) naming the key for a value out of range or an unknown key, Error(unsupported)
    /// for a key or model type whose meaning is not known.
    static Config parse(std::string_view json);

    /// All keys with a value, for schema expressions and for display.
    Variables variables() const;
    /// config.json in the published form, absent keys left out.
    std::string published() const;
};

} // namespace ergo::moa
