// SPDX-License-Identifier: GPL-3.0-or-later
// Running a checkpoint's matrices in another type than they are stored in. Free functions, any thread.
#pragma once

#include "engine/backend/plan.h"

#include <optional>
#include <string>

namespace ergo {

/// What a matrix [outputs, inputs] becomes where q8 or q4 is `wanted`. Empty: it stays in floats, having
/// fewer than 16 outputs or 32 inputs or an odd number of them, or being a router or gate, whose few numbers
/// decide much, or a convolution: on the demo model the small pointwise ones made nearly all of q8's
/// divergence. q8 for the embedding and the output head also where q4 is wanted: they cost q4 most of its
/// accuracy. `name` is the role's or the checkpoint's.
std::optional<DType> grouped_type(DType wanted, const std::string& name, const Shape& shape);

/// `name`: "checkpoint" (or empty) leaves the weights as they are and mapped; with "f32", "bf16" and "f16"
/// every weight matrix is run in that type, rounded to nearest even when a backend loads it, and with "bf16"
/// and "f16" a backend may round inputs to 16 bits too where only sums hang on a product (Rounding::bits8);
/// with "q8" and "q4" as grouped_type says. Vectors, tables and parameters keep their type. Throws
/// Error(usage) for another name.
void convert_matrices(Tables& tables, const std::string& name);

} // namespace ergo
