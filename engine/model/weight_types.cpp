// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/weight_types.h"

#include "engine/base/error.h"

namespace ergo {

namespace {

DType parse(const std::string& name) {
    for (const DType type : {DType::f32, DType::bf16, DType::f16, DType::q8, DType::q4}) {
        if (name == dtype_name(type)) {
            return type;
        }
    }
    throw Error(ErrorKind::usage, "There is no weight type '" + printable(name) + "'.",
                {.advice = "Choose checkpoint, f32, bf16, f16, q8 or q4."});
}

} // namespace

namespace {

bool is_vocabulary_table(const std::string& name) {
    return name == "tok.E" || name == "lm.out" || name == "output.weight" ||
           name.ends_with("lm_head.weight") || name.find("embed") != std::string::npos ||
           name.ends_with("wte.weight");
}

} // namespace

std::optional<DType> grouped_type(DType wanted, const std::string& name, const Shape& shape) {
    constexpr std::int64_t least = 32; // below it there is nothing to save
    if (shape.size() != 2 || shape[0] < 16 || shape[1] < least || shape[1] % 2 != 0) {
        return std::nullopt;
    }
    for (const char* sensitive : {"router", "rgate", "fgate", "feature_gate", "conv"}) {
        if (name.find(sensitive) != std::string::npos) {
            return std::nullopt;
        }
    }
    return is_vocabulary_table(name) ? DType::q8 : wanted;
}

void convert_matrices(Tables& tables, const std::string& name) {
    if (name.empty() || name == "checkpoint") {
        return;
    }
    const DType type = parse(name);
    for (WeightInfo& weight : tables.weights) {
        // rotation tables are derived, not stored: their names end in what they hold
        const bool matrix = weight.tensor.shape().size() == 2 && weight.name.ends_with(".weight");
        if (!matrix && weight.name != "tok.E" && weight.name != "lm.out") {
            continue;
        }
        const auto run_as =
            is_grouped(type) ? grouped_type(type, weight.name, weight.tensor.shape()) : std::optional(type);
        // 16 bits also where they are stored: who asks for them allows inputs to be rounded to as many
        if (run_as && (weight.tensor.dtype() != *run_as || type == DType::bf16 || type == DType::f16)) {
            weight.run_as = run_as;
        }
    }
}

} // namespace ergo
