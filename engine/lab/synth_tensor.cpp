// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/synth_tensor.h"

#include "engine/base/half.h"

#include <cstring>
#include <memory>

namespace ergo {

Tensor stored_tensor(const Shape& shape, std::vector<float> values, DType dtype) {
    if (dtype == DType::f32) {
        return Tensor::from_floats(shape, std::move(values));
    }
    auto bytes = std::make_shared<std::vector<std::byte>>(values.size() * 2);
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::uint16_t half = dtype == DType::bf16 ? f32_to_bf16(values[i]) : f32_to_f16(values[i]);
        std::memcpy(bytes->data() + 2 * i, &half, 2);
    }
    const std::span<const std::byte> view(*bytes);
    return Tensor(dtype, shape, view, std::move(bytes));
}

} // namespace ergo
