// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/commands.h"
#include "engine/base/error.h"
#include "engine/lab/synth.h"

#include <cstdio>

namespace ergo::cli {

namespace {

DType parse_dtype(const std::string& name) {
    for (const DType type : {DType::f32, DType::bf16, DType::f16}) {
        if (name == dtype_name(type)) {
            return type;
        }
    }
    throw UsageError("--dtype is '" + printable(name) + "'; it must be f32, bf16 or f16.");
}

} // namespace

Syntax synth_syntax() {
    const auto list = [](const std::vector<std::string>& all) {
        std::string names;
        for (const std::string& name : all) {
            names += (names.empty() ? "" : ", ") + name;
        }
        return names;
    };
    return {"synth",
            "Writes a random-weight checkpoint of an exact shape in the published layout.",
            {},
            {{"--like", "NAME", "a published model: " + list(synth_names())},
             {"--config", "FILE.json", "a config.json instead"},
             {"--preset", "NAME", "schema of the tensors (default: the one of --like, else moa-2026)"},
             {"--set", "knob.NAME=VALUE", "a semantic knob over the preset", true},
             {"--out", "DIR", "folder to write (made if absent)"},
             {"--as", "CONTAINER", "what to write: " + list(container_names()) + " (default: safetensors)"},
             {"--shards", "N", "that many safetensors files and their index"},
             {"--dtype", "D",
              "f32, bf16 or f16 (default: as published); for gguf also q8_0, q4_0, q4_k, q5_k, q6_k "
              "and q4_k_m"},
             {"--seed", "S", "seed of the weights (default 1)"}}};
}

int synth_command(const Arguments& arguments, const Context& context) {
    if (arguments.has("--like") == arguments.has("--config")) {
        throw UsageError("Give either --like NAME or --config FILE.json.");
    }
    SynthRequest request;
    request.like = arguments.text("--like");
    if (arguments.has("--config")) {
        request.config = read_text_file(arguments.text("--config"), most_settings_bytes);
    }
    request.preset = arguments.text("--preset");
    for (const std::string& assignment : arguments.all("--set")) {
        const auto equals = assignment.find('=');
        if (!assignment.starts_with("knob.") || equals == std::string::npos) {
            throw UsageError("--set '" + printable(assignment) + "' is not of the form knob.NAME=VALUE.");
        }
        request.knobs[assignment.substr(5, equals - 5)] = assignment.substr(equals + 1);
    }
    ContainerRequest stored;
    stored.container = arguments.has("--as") ? arguments.text("--as") : "safetensors";
    stored.shards = static_cast<int>(arguments.integer("--shards", 1, 1, 99999));
    const std::string dtype = arguments.text("--dtype");
    if (stored.container == "gguf") {
        stored.dtype = dtype; // the numbers themselves are the same whatever they are rounded to
    }
    const bool blocks = stored.container == "gguf" && dtype.starts_with("q");
    request.dtype = dtype.empty() || blocks ? synth_dtype(request) : parse_dtype(dtype);
    request.seed = static_cast<std::uint64_t>(arguments.integer("--seed", 1, 0, INT64_MAX));
    synth(request, stored, arguments.required("--out"), progress_line(), context.cancel);
    if (const std::string note = synth_note(request.like); !note.empty()) {
        std::fprintf(stderr, "ergo: note: %s.\n", note.c_str());
    }
    return 0;
}

} // namespace ergo::cli
