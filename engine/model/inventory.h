// SPDX-License-Identifier: GPL-3.0-or-later
// What a model holds, counted the same way for every family: parameters and stored types. Free
// functions, any thread.
#pragma once

#include "engine/checkpoint/schema.h"
#include "engine/model/model.h"

#include <string>
#include <vector>

namespace ergo {

/// Adds every tensor to `parameters` and to its line of `components` (made in the order of `claimed`).
void count_parameters(ModelInfo& info, const std::vector<SchemaTensor>& claimed);

/// "bf16", or "bf16, f32" with the type that has most bytes first.
std::string stored_types(const Checkpoint& checkpoint, const std::vector<SchemaTensor>& claimed);

} // namespace ergo
