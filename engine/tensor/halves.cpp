// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tensor/halves.h"

#include "engine/base/half.h"
#include "engine/tensor/grouped.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace ergo {

namespace {

constexpr std::int64_t piece = 1 << 18; // elements: a multiple of every block, small enough to cancel between

/// False when a finite value did not fit.
bool round_to(DType type, std::span<const float> values, std::span<std::uint16_t> out) {
    bool fits = true;
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (type == DType::bf16) {
            out[i] = f32_to_bf16(values[i]);
        } else {
            out[i] = f32_to_f16(values[i]);
            fits = fits && ((out[i] & 0x7fffu) != 0x7c00u || !std::isfinite(values[i]));
        }
    }
    return fits;
}

/// Elements [first, first + out.size()), whole rows where they are to be rounded to groups.
void read_piece(const Tensor& tensor, std::optional<DType> form, std::int64_t first, std::span<float> out) {
    if (!form || tensor.dtype() == *form) {
        return tensor.to_floats(first, out);
    }
    const std::int64_t inputs = tensor.shape().at(1);
    GroupedRow row;
    for (std::size_t at = 0; at < out.size(); at += static_cast<std::size_t>(inputs)) {
        read_grouped_row(tensor, *form, (first + static_cast<std::int64_t>(at)) / inputs, row);
        grouped_row_values(row, out.subspan(at, static_cast<std::size_t>(inputs)));
    }
}

} // namespace

DType give_as_halves(
    const Tensor& tensor, std::optional<DType> wanted,
    const std::function<void(std::int64_t first, std::span<const std::uint16_t> halves)>& use) {
    std::optional<DType> form;
    std::int64_t step = piece;
    if (wanted && is_grouped(*wanted)) {
        form = std::exchange(wanted, std::nullopt);
        step = std::max<std::int64_t>(1, piece / tensor.shape().at(1)) * tensor.shape()[1];
    }
    const auto room = static_cast<std::size_t>(std::min(step, tensor.size()));
    std::vector<float> values(room);
    std::vector<std::uint16_t> halves(room);
    DType type = wanted.value_or(DType::f16);
    for (std::int64_t first = 0; first < tensor.size();) {
        const auto count = static_cast<std::size_t>(std::min(step, tensor.size() - first));
        read_piece(tensor, form, first, std::span(values).first(count));
        if (round_to(type, std::span(values).first(count), halves) || wanted) {
            use(first, std::span(halves).first(count));
            first += static_cast<std::int64_t>(count);
        } else {
            type = DType::bf16;
            first = 0;
        }
    }
    return type;
}

} // namespace ergo
