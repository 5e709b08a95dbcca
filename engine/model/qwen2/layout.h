// SPDX-License-Identifier: GPL-3.0-or-later
// A Qwen2-class model laid out for planning: which weight, parameter and state handle stands where, layer by
// layer. Built once when a model is opened, then immutable. Source: Gravity-2 specification §4 and §6.
#pragma once

#include "engine/backend/plan.h"
#include "engine/checkpoint/fit.h"
#include "engine/model/qwen2/config.h"
#include "engine/model/qwen2/law.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ergo::qwen2 {

struct LinearPart {
    WeightId weight, bias; ///< bias may be none
    std::int64_t outputs = 0;
};

struct LayerPart {
    std::string stage; ///< "layers.3"
    WeightId attention_norm, mlp_norm;
    LinearPart query, key, value, output, gate, up, down;
    ParamId mass; ///< none under dot-product attention
    ParamId keep;
    StateId keys, values;
};

struct Layout {
    Config config;
    Law law;
    bool gravity = false;       ///< the law that runs
    std::int64_t positions = 0; ///< rows of the rotation tables
    WeightId embedding, final_norm, head;
    Rotation rotation;
    std::vector<LayerPart> layers;
    std::shared_ptr<Tables> tables;
};

/// `raw_masses`: [layers, heads] before softplus, empty for dot-product attention.
Layout make_layout(const Config& config, const Law& law, const RoleMap& roles,
                   const std::vector<float>& raw_masses, std::int64_t positions);

} // namespace ergo::qwen2
