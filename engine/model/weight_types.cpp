// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/weight_types.h"

#include "engine/base/error.h"

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
            weight.run_as = type;
        }
    }
}

} // namespace ergo
