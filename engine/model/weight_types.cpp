// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/weight_types.h"

#include "engine/base/error.h"
#include "engine/base/half.h"

#include <memory>

namespace ergo {

namespace {

DType parse(const std::string& name) {
    for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
        if (name == dtype_name(type)) {
            return type;
        }
    }
    if (name == "q8" || name == "q4") {
        throw Error(ErrorKind::unsupported, "Weights cannot be quantised to " + name + " yet.",
                    {.advice = "Use checkpoint, f32, bf16 or f16."});
    }
    throw Error(ErrorKind::usage, "There is no weight type '" + printable(name) + "'.",
                {.advice = "Choose checkpoint, f32, bf16 or f16."});
}

Tensor converted(const Tensor& tensor, DType type) {
    const std::vector<float> values = tensor.to_floats();
    if (type == DType::f32) {
        return Tensor::from_floats(tensor.shape(), values);
    }
    auto halves = std::make_shared<std::vector<std::uint16_t>>(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        (*halves)[i] = type == DType::bf16 ? f32_to_bf16(values[i]) : f32_to_f16(values[i]);
    }
    const auto bytes = std::as_bytes(std::span<const std::uint16_t>(*halves));
    return Tensor(type, tensor.shape(), bytes, std::move(halves));
}

} // namespace

void convert_matrices(Tables& tables, const std::string& name) {
    if (name.empty() || name == "checkpoint") {
        return;
    }
    const DType type = parse(name);
    for (WeightInfo& weight : tables.weights) {
        // rotation tables are derived, not stored: their names end in what they hold
        const bool matrix = weight.tensor.shape().size() == 2 && weight.name.ends_with(".weight");
        if ((matrix || weight.name == "tok.E" || weight.name == "lm.out") && weight.tensor.dtype() != type) {
            weight.tensor = converted(weight.tensor, type);
        }
    }
}

} // namespace ergo
