// SPDX-License-Identifier: GPL-3.0-or-later
// From a backend's name to weights on it: what "auto" and "hybrid" mean, whether there is room, and what to
// do where a GPU fails. Free functions, any thread.
#pragma once

#include "engine/generate/opened_model.h"

#include <string>

namespace ergo {

/// Sets backend, loaded weights, memory plan, context (unless it is fixed) and choice of `opened`, whose
/// model and options are set: as `name` says, for "auto" on the CPU where the GPU that was chosen fails.
void load_by_name(OpenedModel& opened, const std::string& name, bool fixed_context, const Progress& progress,
                  const CancelToken& cancel);

} // namespace ergo
