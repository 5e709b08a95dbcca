// SPDX-License-Identifier: GPL-3.0-or-later
// Products with weights in whole numbers (engine/tensor/grouped.h, super_blocks.h), as every backend that has
// kernels for them computes them: the input is rounded to whole numbers too, of 16 or 8 bits, once a row, in
// the same groups of 32; a group's products are summed exactly; scales are applied in float32, group after
// group, without fused multiply-adds. So results do not depend on the instruction set, and a fast kernel
// equals this to the bit. Pure functions; any thread.
#pragma once

#include "engine/backend/reference/reference_ops.h"
#include "engine/tensor/grouped.h"
#include "engine/tensor/super_blocks.h"

namespace ergo::reference {

/// The largest magnitude of each group becomes this number.
constexpr std::int32_t largest_number(Rounding rounding) {
    return rounding == Rounding::bits8 ? 127 : 32767;
}
/// A row of inputs as whole numbers: x = scale * number.
struct RoundedInput {
    std::vector<std::int32_t> numbers; // [groups * 32]
    std::vector<float> scales;         // [groups]; NaN where a number is not finite
    std::vector<std::int32_t> sums;    // [groups], of the numbers
};
/// Groups whose largest magnitude is below `least_magnitude` become 0.
inline constexpr float least_magnitude = 1e-30f;
RoundedInput round_input(In in, Rounding rounding);

/// out[o] = act(sum over groups of weight scale * input scale * (numbers . numbers)
///              + (q4) minimum * (input scale * sum of the input's numbers), + bias[o]); weight: a row an
/// output.
void linear_grouped(DType form, Activation activation, const RoundedInput& in,
                    std::span<const GroupedRow> weight, In bias, Out out);

/// The same for rows of blocks of 256 (q4_k, q5_k, q6_k): of every group first the products with its weight
/// scale (q6_k: its first 16 numbers' and then the others'), then less the minimum.
void linear_super(DType form, Activation activation, const RoundedInput& in,
                  std::span<const std::vector<SuperBlock>> weight, In bias, Out out);

} // namespace ergo::reference
