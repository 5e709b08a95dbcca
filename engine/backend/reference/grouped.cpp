// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/reference/grouped.h"

#include "engine/base/half.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace ergo::reference {

RoundedInput round_input(In in, Rounding rounding) {
    const auto most = static_cast<float>(largest_number(rounding));
    const auto groups = static_cast<std::size_t>(groups_of(static_cast<std::int64_t>(in.size())));
    RoundedInput out{std::vector<std::int32_t>(groups * group_inputs), std::vector<float>(groups),
                     std::vector<std::int32_t>(groups)};
    for (std::size_t g = 0; g < groups; ++g) {
        const std::size_t begin = g * group_inputs, end = std::min(begin + group_inputs, in.size());
        float largest = 0;
        bool finite = true;
        for (std::size_t i = begin; i < end; ++i) {
            largest = std::max(largest, std::abs(in[i]));
            finite = finite && std::isfinite(in[i]);
        }
        if (!finite) {
            out.scales[g] = std::numeric_limits<float>::quiet_NaN();
            continue;
        }
        if (largest < least_magnitude) {
            continue;
        }
        out.scales[g] = largest * (1.0f / most);
        const float inverse = most / largest;
        for (std::size_t i = begin; i < end; ++i) {
            out.numbers[i] = static_cast<std::int32_t>(std::nearbyint(in[i] * inverse)); // ties to even
            out.sums[g] += out.numbers[i];
        }
    }
    return out;
}

void linear_grouped(DType form, Activation activation, const RoundedInput& in,
                    std::span<const GroupedRow> weight, In bias, Out out) {
    for (std::size_t o = 0; o < out.size(); ++o) {
        const GroupedRow& row = weight[o];
        float sum = 0;
        for (std::size_t g = 0; g < in.scales.size(); ++g) {
            std::int32_t dot = 0;
            for (std::size_t i = g * group_inputs; i < (g + 1) * group_inputs; ++i) {
                dot += row.numbers[i] * in.numbers[i];
            }
            sum += static_cast<float>(dot) * (f16_to_f32(row.scales[g]) * in.scales[g]);
            if (form == DType::q4) {
                sum += f16_to_f32(row.minimums[g]) * (in.scales[g] * static_cast<float>(in.sums[g]));
            }
        }
        out[o] = activate(sum + (bias.empty() ? 0 : bias[o]), activation);
    }
}

namespace {

/// Numbers [begin, begin + count) of a block and of the input at the same places.
std::int32_t dot(const SuperBlock& block, const std::int32_t* in, std::size_t begin, std::size_t count) {
    std::int32_t sum = 0;
    for (std::size_t i = begin; i < begin + count; ++i) {
        sum += block.numbers[i] * in[i];
    }
    return sum;
}

} // namespace

void linear_super(DType form, Activation activation, const RoundedInput& in,
                  std::span<const std::vector<SuperBlock>> weight, In bias, Out out) {
    constexpr std::size_t groups = super_inputs / group_inputs; // of a block
    const std::size_t parts = form == DType::q6_k ? 2 : 1, count = group_inputs / parts;
    for (std::size_t o = 0; o < out.size(); ++o) {
        float sum = 0;
        for (std::size_t g = 0; g < in.scales.size(); ++g) {
            const SuperBlock& block = weight[o][g / groups];
            const std::int32_t* const numbers = in.numbers.data() + g / groups * super_inputs;
            const std::size_t group = g % groups;
            for (std::size_t p = group * parts; p < (group + 1) * parts; ++p) {
                const float scale = f16_to_f32(block.scale) * static_cast<float>(block.scales[p]);
                sum += static_cast<float>(dot(block, numbers, p * count, count)) * (scale * in.scales[g]);
            }
            if (form != DType::q6_k) {
                const float minimum =
                    -(f16_to_f32(block.minimum) * static_cast<float>(block.minimums[group]));
                sum += minimum * (in.scales[g] * static_cast<float>(in.sums[g]));
            }
        }
        out[o] = activate(sum + (bias.empty() ? 0 : bias[o]), activation);
    }
}

} // namespace ergo::reference
