// SPDX-License-Identifier: GPL-3.0-or-later
// The masses of gravity attention, one raw scalar a layer and query head, from any layout that an author can
// produce with one save call. Free functions, any thread. Source: Gravity-2 specification §5.
#pragma once

#include "engine/checkpoint/checkpoint.h"
#include "engine/tensor/tensor.h"

#include <cstdint>
#include <string>
#include <vector>

namespace ergo::qwen2 {

/// One array of a mass file or of the weights, and the keys on the way to it joined by dots:
/// "model.layers.3.self_attn.gravity_mass_log", "masses.3", "3", or "" for a file that is one tensor.
struct MassArray {
    std::string path;
    Tensor tensor;
};

/// What the masses must fit.
struct MassShape {
    std::int64_t layers = 0, heads = 0, key_heads = 0;
};

/// Raw values [layers, heads] (before softplus). `origin` names the file in errors. Accepted: one vector a
/// layer under a path with exactly one whole-number component (the layer), or one tensor [layers, heads];
/// unit dimensions do not matter. Throws Error(mismatch, G-MASS) naming layer and reason: a layer missing or
/// given twice, a wrong length, a value that is not finite, a layout that can be read in two ways.
std::vector<float> read_masses(const std::vector<MassArray>& arrays, const MassShape& shape,
                               const std::string& origin);

/// ln(1 + e^raw), formed in double precision.
float mass_of(float raw);

/// Name of the file beside the weights.
inline constexpr const char* mass_file = "gravity_mass_log.pt";

/// Tensors of the checkpoint whose names end in gravity_mass_log.
std::vector<MassArray> stored_masses(const Checkpoint& checkpoint);

/// Is this a mass tensor's name?
bool is_mass_name(const std::string& name);

} // namespace ergo::qwen2
