// SPDX-License-Identifier: GPL-3.0-or-later
// Running a checkpoint's matrices in another floating-point type than they are stored in. Free functions, any
// thread.
#pragma once

#include "engine/backend/plan.h"

#include <string>

namespace ergo {

/// `name`: "checkpoint" (or empty) leaves the weights as they are and mapped; with "f32", "bf16" and "f16"
/// every weight matrix is run in that type, rounded to nearest even when a backend loads it; vectors, tables
/// and parameters keep their type. Throws Error(usage) for another name and Error(unsupported) for q8 and q4.
void convert_matrices(Tables& tables, const std::string& name);

} // namespace ergo
