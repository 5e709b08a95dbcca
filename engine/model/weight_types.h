// SPDX-License-Identifier: GPL-3.0-or-later
// Running a checkpoint's matrices in another floating-point type than they are stored in. Free functions, any
// thread.
#pragma once

#include "engine/backend/plan.h"

#include <string>

namespace ergo {

/// `name`: "checkpoint" (or empty) leaves the weights as they are and mapped; "f32", "bf16" and "f16" convert
/// every weight matrix, rounding to nearest even; vectors, tables and parameters keep their type. Throws
/// Error(usage) for another name and Error(unsupported) for q8 and q4.
void convert_matrices(Tables& tables, const std::string& name);

} // namespace ergo
