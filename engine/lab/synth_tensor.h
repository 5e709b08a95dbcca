// SPDX-License-Identifier: GPL-3.0-or-later
// A tensor of a synthetic checkpoint in the type it is stored in. A free function, any thread.
#pragma once

#include "engine/tensor/tensor.h"

#include <vector>

namespace ergo {

/// `values` rounded to f32, bf16 or f16.
Tensor stored_tensor(const Shape& shape, std::vector<float> values, DType dtype);

} // namespace ergo
