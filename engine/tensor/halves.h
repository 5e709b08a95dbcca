// SPDX-License-Identifier: GPL-3.0-or-later
// Tensors as 16-bit floats, for backends without a kernel for the stored type. A free function, any thread.
#pragma once

#include "engine/tensor/tensor.h"

#include <functional>
#include <optional>

namespace ergo {

/// Gives `use` the elements of `tensor` (any type a weight may have) in pieces, from the first element on:
/// where a piece begins and its 16-bit floats, rounded to nearest even. `wanted` is f16 or bf16, or q8 or q4:
/// the elements rounded to whole numbers in groups first (grouped.h), then as if empty; empty: f16 (three
/// bits more precise than bf16) unless a finite value lies beyond f16's range: then everything is given
/// again, as bf16. Returns the type of what was given last. What `use` throws passes through.
DType give_as_halves(
    const Tensor& tensor, std::optional<DType> wanted,
    const std::function<void(std::int64_t first, std::span<const std::uint16_t> halves)>& use);

} // namespace ergo
