// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/commands.h"
#include "engine/base/error.h"

#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <sstream>

namespace ergo::cli {

Option attach_option() {
    return {"--attach", "FILE",
            "use a tokenizer (tokenizer.json, vocab.json with merges.txt, vocab.txt), a chat template "
            "(*.jinja) or "
            "gravity masses (a PyTorch file) from another place, as if it stood beside the weights",
            true};
}

std::vector<Attachment> attachments_of(const Arguments& arguments) {
    std::vector<Attachment> out;
    if (arguments.has("--attach")) {
        for (const std::string& file : arguments.all("--attach")) {
            out.push_back(as_attachment(file));
        }
    }
    return out;
}

std::shared_ptr<const Checkpoint> checkpoint_for(const Arguments& arguments, const std::string& source,
                                                 const Context& context) {
    return Checkpoint::with(open_checkpoint(source, progress_line(), context.cancel),
                            attachments_of(arguments));
}

std::vector<Option> model_options() {
    return {
        {"--backend", "NAME",
         "auto, cpu, vulkan, vulkan:N or hybrid (default auto: a discrete or integrated GPU with room for "
         "the "
         "model, else the CPU; vulkan takes any device; hybrid: a device and the CPU, one reads the prompt, "
         "the other writes, as measured faster; vulkan:N+cpu and cpu+vulkan:N say which)"},
        {"--threads", "N", "CPU threads (default: one a core)"},
        {"--pin", "", "keep every CPU thread on a processor of its own while it computes"},
        {"--cache", "D", "keep keys and values in f32 (default), bf16 or q8 (the CPU alone)"},
        {"--dtype", "D",
         "run the weight matrices as checkpoint (default), f32, bf16, f16, q8 or q4; asking for bf16 or "
         "f16 lets a prompt's inputs be rounded to 16 bits too"},
        {"--context", "N", "positions to make room for (default: the model's own)"},
        {"--schemas", "DIR", "folder with further schemas (default: ~/.config/ergosphere/schemas)"},
        {"--allow-unused", "", "accept tensors that no role claims"},
        attach_option(),
        {"--diagnose", "LIST",
         "for a Vulkan device, separated by commas: serialise (kernels one after the other), no-fusion (one "
         "kernel an op), no-extensions (nothing beyond Vulkan 1.2), no-cooperative-matrix, validation (the "
         "validation layer; what it says goes to stderr), lose-at=N and no-memory-at=N (the device fails "
         "after N steps, on purpose)"},
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

namespace {

DeviceFault fault_from(DeviceFault::Kind kind, const std::string& number) {
    DeviceFault fault{kind, 0};
    const auto [stop, problem] = std::from_chars(number.data(), number.data() + number.size(), fault.at_step);
    if (problem != std::errc{} || stop != number.data() + number.size()) {
        throw UsageError("--diagnose: '" + printable(number) + "' is not a number of steps.");
    }
    return fault;
}

Diagnostics diagnostics_from(const std::string& list) {
    Diagnostics wanted;
    std::istringstream words(list);
    for (std::string word; std::getline(words, word, ',');) {
        if (word == "serialise") {
            wanted.serialise = true;
        } else if (word == "no-fusion") {
            wanted.no_fusion = true;
        } else if (word == "no-extensions") {
            wanted.no_extensions = true;
        } else if (word == "no-cooperative-matrix") {
            wanted.no_cooperative_matrix = true;
        } else if (word == "validation") {
            wanted.validation = true;
        } else if (word.starts_with("lose-at=")) {
            wanted.fault = fault_from(DeviceFault::Kind::lost, word.substr(8));
        } else if (word.starts_with("no-memory-at=")) {
            wanted.fault = fault_from(DeviceFault::Kind::out_of_memory, word.substr(13));
        } else {
            throw UsageError("--diagnose knows serialise, no-fusion, no-extensions, no-cooperative-matrix, "
                             "validation, lose-at=N and no-memory-at=N, not '" +
                             printable(word) + "'.");
        }
    }
    return wanted;
}

} // namespace

OpenModelOptions parse_model_options(const Arguments& arguments) {
    OpenModelOptions options;
    options.backend = arguments.text("--backend", "auto");
    options.threads = static_cast<int>(arguments.integer("--threads", 0, 1, 1024));
    options.pin = arguments.has("--pin");
    options.context = arguments.integer("--context", 0, 1, std::int64_t{1} << 24);
    options.model.dtype = arguments.text("--dtype");
    options.model.cache = arguments.text("--cache");
    options.model.schemas = arguments.text("--schemas");
    options.model.allow_unused = arguments.has("--allow-unused");
    options.attachments = attachments_of(arguments);
    options.diagnostics = diagnostics_from(arguments.text("--diagnose"));
    options.on_validation = [](const std::string& message) {
        std::fprintf(stderr, "ergo: validation: %s\n", message.c_str());
    };
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
        throw Error(ErrorKind::usage, "This checkpoint has no tokenizer, so text cannot be read or written.",
                    {.advice =
                         "Give token ids with --tokens, or put its tokenizer.json beside the weights or name "
                         "it with --attach."});
    }
    return *opened.tokenizer;
}

Option special_option() {
    return {"--special", "",
            "special tokens in the prompt's text count as such (otherwise they are plain text)"};
}

std::vector<std::int32_t> prompt_ids(const Arguments& arguments, const OpenedModel& opened) {
    EncodeOptions options;
    options.add_special_tokens = true;
    options.match_special_in_text = arguments.has("--special");
    return tokenizer_of(opened).encode(arguments.required("-p"), options);
}

void print(const std::string& text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
        throw Error(ErrorKind::io, "Standard output cannot be written.");
    }
}

} // namespace ergo::cli
