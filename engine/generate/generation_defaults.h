// SPDX-License-Identifier: GPL-3.0-or-later
// generation_config.json: how a model's makers advise to sample from it, and which tokens end a reply. A
// plain value.
#pragma once

#include "engine/checkpoint/checkpoint.h"
#include "engine/generate/sampler.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ergo {

struct GenerationDefaults {
    std::optional<SamplingParams> sampling; ///< set when the file says anything about it
    std::optional<std::int64_t> max_new_tokens;
    std::vector<std::string> warnings; ///< about values that make no sense and are not used
};

/// Reads the file's text ("" gives nothing). What is out of range is left out with a warning, unknown keys
/// are ignored. Throws Error(format, F-JSON) for a text that is no JSON object.
GenerationDefaults read_generation_config(std::string_view text);

/// Of a checkpoint; a file that cannot be read is a warning.
GenerationDefaults generation_defaults(const Checkpoint& checkpoint);

/// The model's own preset first, if it has one, then those of its family.
std::vector<SamplingPreset> sampling_presets(const std::string& family, const GenerationDefaults& defaults);

} // namespace ergo
