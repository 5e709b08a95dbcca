// SPDX-License-Identifier: GPL-3.0-or-later
// The weights in a PyTorch file: finds the state dict under the wrappers that trainers put around it.
// Internal to this floor. A pure function, any thread.
#pragma once

#include "engine/checkpoint/torch_file.h"
#include "engine/checkpoint/weight_file.h"

namespace ergo {

/// Accepts a map of names to tensors, the same below `model`, `state_dict`, `model_state_dict`, `module`,
/// `weights` or `ema` (also one in another), a list of tensors and a single one. `_orig_mod.` and `module.`
/// are removed from names. Numbers and short texts beside the weights become metadata, the rest (optimiser
/// states …) is named in a warning. Throws Error(format, PT-LAYOUT) when there are no tensors or two get one
/// name.
WeightFile torch_weights(const TorchFile& file);

/// Removes what wrapper modules put before a part of a name: "module.layers.0._orig_mod.w" is "layers.0.w".
std::string without_wrapper_prefixes(std::string name);

} // namespace ergo
