// SPDX-License-Identifier: GPL-3.0-or-later
// Random Qwen2-class checkpoints, with gravity masses or without, written tensor by tensor: the largest is 6
// GB. Free functions, any thread.
#pragma once

#include "engine/lab/synth.h"

#include <filesystem>
#include <string>
#include <vector>

namespace ergo::qwen2 {

/// True when the request names a model of this class or its config.json calls itself qwen2.
bool can_synthesise(const SynthRequest& request);

/// Names that SynthRequest::like may have.
std::vector<std::string> synth_names();

/// Writes config.json, model.safetensors and, with masses, gravity_mass_log.pt. The knob `masses` says where
/// they go: file (default for a name), weights, none (default for a config.json). Throws as ergo::synth.
void synthesise(const SynthRequest& request, const std::filesystem::path& folder, const Progress& progress,
                const CancelToken& cancel);

} // namespace ergo::qwen2
