// SPDX-License-Identifier: GPL-3.0-or-later
// What keys and values are kept in. Free functions, any thread.
#pragma once

#include "engine/backend/plan.h"

#include <string>

namespace ergo {

/// `name`: "f32" (or empty) keeps keys and values as they are; "bf16" rounds them, "q8" makes them whole
/// numbers with a scale for 32 channels (engine/backend/rounded_state.h). Heads of other widths than
/// multiples of 32 channels stay in f32. Throws Error(usage) for another name.
void convert_cache(Tables& tables, const std::string& name);

/// What keys and values are kept in: f32 unless any state is rounded.
DType cache_type(const Tables& tables);

} // namespace ergo
