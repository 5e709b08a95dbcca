// SPDX-License-Identifier: GPL-3.0-or-later
// The choices that MoA's published material leaves open, as knobs. A preset (a schema's knobs), a
// semantics.json beside the weights and the caller's own settings are laid over the defaults in that order.
// Plain data, immutable after make, any thread. Source: MoA specification §6 and §6.9.
#pragma once

#include "engine/checkpoint/expression.h"
#include "engine/model/moa/config.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ergo::moa {

/// Defaults are the preset moa-2026. The values a text knob may take are in semantics.cpp and in
/// knob_choices.
struct Semantics {
    // score
    std::string score_scale = "inv_sqrt_d", cosine_scale = "same";
    std::string alpha_map = "raw", maha_map = "raw", maha_order = "after", distance_form = "expanded";
    // ball pruning
    std::string radius_map = "raw", ball_mode = "hard", ball_test = "keys", ball_metric = "euclidean";
    std::string ball_space = "rotated", ball_fallback = "unpruned";
    double ball_softness = 10;
    // attention parameters
    std::string mqa_kv = "tied", mqa_params = "shared", updown = "gated";
    bool qkv_bias = false, out_proj = false;
    std::optional<double> updown_mult; ///< width / dim; absent: config's ff_mult
    // LocalConv and ChannelMix
    std::string conv_kind = "dw_pw", channel_mix = "gate_d";
    bool conv_bias = true, mlp_bias = true;
    // router and gates
    std::string router_kind = "mlp", router_gate = "mlp", router_gate_bound = "tanh",
                feature_gate = "const_vector";
    bool router_bias = true, router_renormalise = true;
    // HyperFFN
    std::string hyperffn = "after_stack", hyper_conv = "glu_dw_pw", hyper_lowrank = "gate_d";
    std::string hyper_router = "linear";
    std::int64_t hyper_topk = 2;
    double hyper_temperature = 1;
    // LM head
    std::string lm_head = "moa", lm_ffn_width = "plus_mixer";
    bool lm_pre_norm = true, lm_residual_mix = true, lm_ffn_norm = true, lm_residual_ffn = true,
         lm_out_norm = true;
    // rotary position
    std::string rope_source = "synth", rope_pairing = "half", rope_params = "full", discrepancy = "coef";
    bool phase = true, v_energy = true;
    std::int64_t basis_period = 0; ///< 0: config's max_seq_len_cached
    double energy_min = 0.5, energy_max = 2;
    // norms, scales, activations
    std::string norm = "layernorm", layer_scale = "per_part";
    double norm_eps = 1e-5;
    std::string act_conv = "silu", act_mix = "silu", act_updown = "silu", act_swiglu = "silu",
                act_router = "silu";
    std::string act_lowrank = "identity";
    bool use_window = true;

    /// Lays knobs over these. `origin` names them in errors ("semantics.json", "knob"). Throws Error(usage)
    /// naming the knob and its allowed values.
    void apply(const Variables& knobs, const std::string& origin);
    /// Refuses combinations that have no meaning. Throws Error(usage).
    void validate(const Config& config) const;
    /// Every knob with a value, for schema expressions, semantics.json and display.
    Variables variables() const;
    /// semantics.json, every knob.
    std::string json() const;

    bool operator==(const Semantics&) const = default;
};

/// Knobs of a JSON object, e.g. semantics.json; a null leaves the knob as it is. Throws Error(format).
Variables parse_knobs(std::string_view json, const std::string& origin);
/// Knobs given as text: JSON values, or bare words for texts.
Variables parse_knobs(const std::map<std::string, std::string>& settings);

/// The values a text knob may take, the default first; empty for other knobs and unknown names.
std::vector<std::string> knob_choices(const std::string& knob);

} // namespace ergo::moa
