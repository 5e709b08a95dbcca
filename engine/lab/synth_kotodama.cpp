// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/synth_kotodama.h"

#include "engine/base/error.h"
#include "engine/checkpoint/deterministic.h"
#include "engine/checkpoint/schema.h"
#include "engine/lab/synth_tensor.h"
#include "engine/model/kotodama/config.h"

#include <algorithm>
#include <cmath>

namespace ergo {

namespace {

/// Offset and scale of a tensor's uniform numbers in (-0.5, 0.5).
std::pair<double, double> rule_of(const SchemaTensor& tensor) {
    if (tensor.role == "tok.E") {
        return {0.0, 1.0};
    }
    if (tensor.shape.size() == 2) {
        return {0.0, 4.0 / std::sqrt(static_cast<double>(tensor.shape[1]))};
    }
    return tensor.role.ends_with(".query") ? std::pair(0.0, 0.5) : std::pair(1.0, 0.5);
}

std::vector<float> values_of(const SchemaTensor& tensor, std::uint64_t seed) {
    const CountedStream stream(tensor.name, seed);
    const auto [offset, scale] = rule_of(tensor);
    std::vector<float> out(static_cast<std::size_t>(element_count(tensor.shape)));
    for (std::size_t k = 0; k < out.size(); ++k) {
        out[k] = static_cast<float>(offset + scale * stream.centred(k));
    }
    return out;
}

} // namespace

std::vector<std::string> kotodama_names() {
    return {"kotodama-108m"};
}

bool wants_kotodama(const SynthRequest& request) {
    const auto names = kotodama_names();
    return request.like.empty() ? kotodama::is_config(request.config)
                                : std::find(names.begin(), names.end(), request.like) != names.end();
}

Synthetic synthesise_kotodama(const SynthRequest& request, const Progress& progress,
                              const CancelToken& cancel) {
    if (!request.knobs.empty()) {
        throw Error(ErrorKind::usage, "a Kotodama model has no semantic knobs",
                    {.advice = "Give its sizes and attn_res_boundaries with --config."});
    }
    const kotodama::Config config =
        request.like.empty() ? kotodama::parse_config(request.config) : kotodama::Config();
    const auto schemas = builtin_schemas();
    const Schema& schema = find_schema(schemas, request.preset.empty() ? "kotodama" : request.preset);
    if (schema.family() != "kotodama") {
        throw Error(ErrorKind::usage, "the schema " + schema.name() + " is not of the Kotodama family");
    }
    const std::vector<SchemaTensor> claimed = schema.expand(config.variables());
    Synthetic out{config.published(), {}, {}};
    for (const SchemaTensor& tensor : claimed) {
        cancel.check();
        if (progress) {
            progress(static_cast<double>(out.tensors.size()), static_cast<double>(claimed.size()),
                     tensor.name);
        }
        out.tensors.emplace_back(tensor.name,
                                 stored_tensor(tensor.shape, values_of(tensor, request.seed), request.dtype));
    }
    return out;
}

} // namespace ergo
