// SPDX-License-Identifier: GPL-3.0-or-later
// Interventions on values: a parameter pinned or scaled for one run, without touching the checkpoint. The
// names are those of the parameters, which are those of the observables.
#pragma once

#include "engine/backend/plan.h"

#include <optional>
#include <string>
#include <vector>

namespace ergo {

/// "layers.*.router.temperature=2", "layers.0.metric_attention.radius[3]*=0.5". "X.mask=1" is "X.keep=0": the
/// parameter `keep` multiplies a head's output, or says whether a path may be chosen.
struct Intervention {
    std::string pattern;               ///< name with globs
    std::optional<std::int64_t> index; ///< one element (a head), none: all
    bool scale = false;                ///< *= instead of =
    float value = 0;
};

/// Throws Error(usage) saying what is wrong with the text.
Intervention parse_intervention(const std::string& text);

/// Applies it to every parameter whose name matches. Throws Error(usage) when none matches (naming the
/// nearest) or the index is out of range. An index counts along the first axis: for [heads, dim] it means a
/// whole row.
void apply_intervention(std::vector<ParamInfo>& params, const Intervention& intervention);

/// The values of all parameters, in order, after these changes of `params`. Throws as the two above.
std::vector<std::vector<float>> changed_params(const std::vector<ParamInfo>& params,
                                               const std::vector<std::string>& changes);

} // namespace ergo
