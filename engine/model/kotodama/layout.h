// SPDX-License-Identifier: GPL-3.0-or-later
// A Kotodama model laid out for planning: which weight, parameter and state handle stands where. Built once
// when a model is opened, then immutable. Source: Kotodama specification §2.
#pragma once

#include "engine/backend/plan.h"
#include "engine/checkpoint/fit.h"
#include "engine/model/kotodama/config.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ergo::kotodama {

/// One router over depth: in front of an attention, an MLP or the output head.
struct RoutePart {
    std::string site; ///< "layers.3.attn_res", "final.res"
    WeightId query;   ///< pseudo-query times gain
    ParamId temperature, mask;
    std::int32_t sources = 0;
};

struct LayerPart {
    std::string stage;     ///< "layers.3"
    bool boundary = false; ///< the running sum is closed behind this layer's first router
    RoutePart attention_route, mlp_route;
    WeightId attention_norm, query, key, value, output;
    WeightId query_norm, key_norm; ///< none without QK-norm
    WeightId ffn_norm, gate, up, down;
    ParamId mask; ///< [heads]
    StateId keys, values;
};

struct Layout {
    Config config;
    std::int64_t positions = 0;
    WeightId embedding, head, final_norm; ///< the head is the embedding when tied
    std::vector<LayerPart> layers;
    RoutePart final_route;
    Rotation rotation; ///< one table for all layers
    std::shared_ptr<Tables> tables;
};

/// Throws Error(resources) when the rotary tables are too large.
Layout make_layout(const Config& config, const RoleMap& roles, std::int64_t positions);

} // namespace ergo::kotodama
