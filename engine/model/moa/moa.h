// SPDX-License-Identifier: GPL-3.0-or-later
// The MoA family: four-path mixtures of convolution, metric attention, channel mixing and metric MQA, with a
// HyperFFN and a mixture in the language-model head. Source: MoA specification §6.
#pragma once

#include "engine/model/model.h"

namespace ergo::moa {

/// True when the checkpoint's configuration or tensor names are this family's.
bool recognises(const Checkpoint& checkpoint);

/// Opens a MoA checkpoint: chooses the schema that its tensors fit, lays semantics.json and the options'
/// knobs over the schema's preset. Throws as open_model.
std::shared_ptr<const Model> open(std::shared_ptr<const Checkpoint> checkpoint, const OpenOptions& options);

/// Names of this family's built-in presets in the order they are tried.
std::vector<std::string> preset_names();

} // namespace ergo::moa
