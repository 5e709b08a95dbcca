// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/commands.h"
#include "engine/base/error.h"
#include "engine/lab/array_files.h"
#include "engine/lab/trace.h"
#include "engine/tensor/npy.h"

#include <sstream>

namespace ergo::cli {

namespace {

std::vector<std::string> split_list(const std::string& text) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, ',');) {
        if (!part.empty()) {
            parts.push_back(part);
        }
    }
    return parts;
}

TraceRequest request_from(const Arguments& arguments) {
    TraceRequest request;
    request.tokens = parse_ids(arguments.required("--tokens"));
    request.decode = arguments.has("--decode");
    return request;
}

void require_extension(const std::string& path, const std::string& extension) {
    if (!path.ends_with(extension)) {
        throw UsageError("--out '" + printable(path) + "' must end in " + extension + ".");
    }
}

const Option tokens_option{"--tokens", "IDS", "token ids: 1,2,3 or @FILE with one per line"};
const Option decode_option{"--decode", "", "feed the tokens one at a time through the cache"};

} // namespace

Syntax logits_syntax() {
    return {"logits",
            "Logits at every position, float32 [tokens, vocabulary], as a NumPy file.",
            {"MODEL"},
            with_model_options({tokens_option, {"--out", "FILE.npy", "where to write"}, decode_option})};
}

int logits_command(const Arguments& arguments, const Context& context) {
    const TraceRequest request = request_from(arguments);
    const std::string out = arguments.required("--out");
    require_extension(out, ".npy");
    const auto opened = open_for(arguments, context);
    write_npy(out, run_logits(*opened->model, *opened->backend, request.tokens, request.decode,
                              context.cancel, progress_line()));
    return 0;
}

Syntax trace_syntax() {
    return {"trace",
            "Everything observable in one forward pass, by name, as a NumPy .npz (or .safetensors).",
            {"MODEL"},
            with_model_options(
                {tokens_option,
                 {"--out", "FILE.npz", "where to write"},
                 {"--observe", "LIST", "names with globs, separated by commas (default: all)", true},
                 decode_option})};
}

int trace_command(const Arguments& arguments, const Context& context) {
    TraceRequest request = request_from(arguments);
    for (const std::string& list : arguments.all("--observe")) {
        for (std::string& pattern : split_list(list)) {
            request.observe.push_back(std::move(pattern));
        }
    }
    const std::string out = arguments.required("--out");
    if (!out.ends_with(".safetensors")) {
        require_extension(out, ".npz");
    }
    const auto opened = open_for(arguments, context);
    write_arrays(out, run_trace(*opened->model, *opened->backend, request, context.cancel, progress_line()));
    return 0;
}

} // namespace ergo::cli
