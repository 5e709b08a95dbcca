// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/commands.h"
#include "engine/base/error.h"

#include <unistd.h>

#include <cstdio>

namespace ergo::cli {

std::vector<Option> model_options() {
    return {
        {"--backend", "NAME", "auto, cpu, vulkan or vulkan:N (default auto: a GPU if there is one)"},
        {"--threads", "N", "CPU threads (default: one a core)"},
        {"--dtype", "D", "run the weight matrices as checkpoint (default), f32, bf16 or f16"},
        {"--context", "N", "positions to make room for (default: the model's own)"},
        {"--schemas", "DIR", "folder with further schemas (default: ~/.config/ergosphere/schemas)"},
        {"--allow-unused", "", "accept tensors that no role claims"},
        {"--set", "NAME=VALUE",
         "change the model for this run: knob.NAME=VALUE for a semantic knob, else a parameter's name with "
         "globs and "
         "an optional [index]; = pins, *= scales",
         true},
        {"--recipe", "FILE", "a recipe: changes as --set has them (before those given here), and sampling"},
    };
}

Recipe recipe_of(const Arguments& arguments) {
    if (!arguments.has("--recipe")) {
        return {};
    }
    const std::filesystem::path path = arguments.text("--recipe");
    return parse_recipe(read_text_file(path.string(), 1 << 20), path.filename().string());
}

std::vector<Option> with_model_options(std::vector<Option> own) {
    const auto common = model_options();
    own.insert(own.end(), common.begin(), common.end());
    return own;
}

OpenModelOptions parse_model_options(const Arguments& arguments) {
    OpenModelOptions options;
    options.backend = arguments.text("--backend", "auto");
    options.threads = static_cast<int>(arguments.integer("--threads", 0, 1, 1024));
    options.context = arguments.integer("--context", 0, 1, std::int64_t{1} << 24);
    options.model.dtype = arguments.text("--dtype");
    options.model.schemas = arguments.text("--schemas");
    options.model.allow_unused = arguments.has("--allow-unused");
    apply_settings(recipe_of(arguments).set, options.model);
    apply_settings(arguments.all("--set"), options.model);
    return options;
}

Progress progress_line() {
    if (!isatty(STDERR_FILENO)) {
        return {};
    }
    return [](double done, double total, const std::string& what) {
        if (done >= total) {
            std::fprintf(stderr, "\r\033[K");
        } else {
            std::fprintf(stderr, "\r\033[K%s: %.0f %%", what.c_str(), total > 0 ? 100 * done / total : 0);
        }
        std::fflush(stderr);
    };
}

std::shared_ptr<const OpenedModel> open_for(const Arguments& arguments, const Context& context) {
    const auto opened =
        open_all(*arguments.positional(0), parse_model_options(arguments), progress_line(), context.cancel);
    for (const std::string& note : opened->notes) {
        std::fprintf(stderr, "%s\n", note.c_str());
    }
    return opened;
}

const Tokenizer& tokenizer_of(const OpenedModel& opened) {
    if (!opened.tokenizer) {
        throw Error(
            ErrorKind::usage, "This checkpoint has no tokenizer, so text cannot be read or written.",
            {.advice = "Give token ids with --tokens, or put its tokenizer.json beside the weights."});
    }
    return *opened.tokenizer;
}

void print(const std::string& text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
        throw Error(ErrorKind::io, "Standard output cannot be written.");
    }
}

} // namespace ergo::cli
