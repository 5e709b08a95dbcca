// SPDX-License-Identifier: GPL-3.0-or-later
// A recipe: what was changed in a model and how was sampled, as a file of the project's own. Keys this
// version does not know are kept when a recipe is written again. Plain data, any thread.
//
//   {"format": "ergosphere-recipe", "version": 1, "set": ["layers.*.router.topk=1", "knob.phase=false"],
//    "sampling": {"temperature": 0.8, "top_p": 0.95, "seed": 7}}
#pragma once

#include "engine/generate/sampler.h"
#include "engine/model/model.h"

#include <string>
#include <string_view>
#include <vector>

namespace ergo {

struct Recipe {
    /// As `--set` takes them: knob.NAME=VALUE, or a parameter's name with = or *=; in order.
    std::vector<std::string> set;
    SamplingParams sampling;  ///< keys the file does not name have their defaults
    std::string other = "{}"; ///< the file as it was read, for what this version does not know
};

/// `file` is named in errors. Throws Error(format) for what is no recipe, Error(unsupported) for a newer
/// version, Error(usage) for sampling values that make no sense.
Recipe parse_recipe(std::string_view json, const std::string& file);

/// The recipe as JSON, unknown keys kept.
std::string write_recipe(const Recipe& recipe);

/// Sorts `--set` assignments into knobs and interventions, behind what `options` has. Throws Error(usage) for
/// a text that is no assignment.
void apply_settings(const std::vector<std::string>& settings, OpenOptions& options);

} // namespace ergo
