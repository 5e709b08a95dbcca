// SPDX-License-Identifier: GPL-3.0-or-later
// A MoA model laid out for planning: which weight, parameter and state handle stands where, stage by stage.
// Built once when a model is opened, then immutable. Source: MoA specification §6.2–6.8 and §6.10.
#pragma once

#include "engine/backend/plan.h"
#include "engine/checkpoint/fit.h"
#include "engine/model/moa/config.h"
#include "engine/model/moa/rope.h"
#include "engine/model/moa/semantics.h"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ergo::moa {

/// y = x W^T + b; no weight: the layer does not exist.
struct LinearPart {
    WeightId weight, bias;
    std::int64_t outputs = 0;
    explicit operator bool() const { return static_cast<bool>(weight); }
};

struct NormPart {
    WeightId weight, bias;
    explicit operator bool() const { return static_cast<bool>(weight); }
};

/// A constant, linear or two-layer network; nothing set: absent.
struct NetPart {
    WeightId constant;
    LinearPart hidden; ///< first layer of two, else none
    LinearPart output;
    explicit operator bool() const { return constant || output; }
};

struct AttentionPart {
    std::string site;      ///< "metric_attention"
    std::string rope_site; ///< "rope_global"
    std::string name;      ///< op names: "layers.0.mha"
    std::int32_t heads = 0, dim = 0;
    std::int32_t kv_heads = 0;  ///< heads of the key and value projections: heads, or 1 for MQA
    std::int32_t key_heads = 0; ///< key heads remembered: more than kv_heads where each head scales its own
    std::int32_t balls = 0;     ///< key ball distances a position, 0 without balls
    LinearPart query, key, value, output, gate, up, down; ///< value none: tied to the key
    Rotation rotation;
    std::int32_t rope = 0; ///< index into Layout::ropes
    ParamId alpha, diagonal, origin, radius, mask;
    bool scales_before = false; ///< the diagonal scales before the rotation
    Ball ball;
    StateId keys, values, distances;
};

struct MixturePart {
    std::string stage;                ///< "layers.0" or "lm_head"
    NormPart norm;                    ///< none: identity
    LinearPart conv_in;               ///< pointwise in front of the depthwise filter, may be none
    LinearPart conv_filter, conv_out; ///< filter: weight [width, k]
    StateId conv_history;
    LinearPart mix_gate, mix_up, mix_down;
    AttentionPart attention, mqa;
    NetPart router, router_gate, feature_gate;
    std::int64_t feature_width = 0; ///< channels a path of the feature gate: width, 1, or 0 without one
    ParamId temperature, top_k, mask;
    WeightId layer_scale;
};

struct HyperPart {
    std::string stage;
    NormPart norm;
    LinearPart gate, up, down; // SwiGLU
    LinearPart conv_in, conv_filter, conv_out;
    std::int64_t conv_width = 0;
    StateId conv_history;
    LinearPart low_gate, low_a, low_b;
    NetPart router;
    ParamId temperature, top_k, mask;
    WeightId layer_scale;
};

struct HeadPart {
    std::optional<MixturePart> mixture; ///< none: a plain linear head
    NormPart ffn_norm, out_norm;
    LinearPart gate, up, down; ///< SwiGLU, may be none
    WeightId ffn_scale;
    WeightId projection; // [vocabulary, width]
};

struct Layout {
    Config config;
    Semantics semantics;
    std::int64_t positions = 0; ///< rows of the rotation tables
    WeightId embedding;
    std::vector<MixturePart> layers;
    std::vector<HyperPart> hypers; ///< one a use: per layer, or one after the stack, or none
    NormPart final_norm;
    HeadPart head;
    std::vector<Rope> ropes;
    std::shared_ptr<Tables> tables;

    bool hyper_each_layer() const { return !hypers.empty() && semantics.hyperffn != "after_stack"; }
    /// All mixtures: the layers', then the head's.
    std::vector<const MixturePart*> mixtures() const;
};

/// Throws Error(usage) when `positions` exceeds stored rotary tables, Error(resources) when the tables are
/// too large.
Layout make_layout(const Config& config, const Semantics& semantics, const RoleMap& roles,
                   std::int64_t positions);

/// The stored number of a positive parameter to its value: raw, exp, softplus or square.
double positive(double stored, const std::string& map);
/// Its inverse, for y > 0.
double unpositive(double value, const std::string& map);

Activation activation_of(const std::string& name);

} // namespace ergo::moa
