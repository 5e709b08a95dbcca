// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/opened_model.h"

#include "engine/base/embedded.h"
#include "engine/base/error.h"
#include "engine/generate/load_backend.h"
#include "engine/generate/metadata_tokenizer.h"
#include "engine/tokenizer/tokenizer_folder.h"

#include <algorithm>

namespace ergo {

namespace {

constexpr std::string_view demo_prefix = "demo:";

std::string joined(const std::vector<std::string>& names) {
    std::string text;
    for (const std::string& name : names) {
        text += (text.empty() ? "" : ", ") + name;
    }
    return text;
}

} // namespace

std::vector<std::string> demo_models() {
    std::vector<std::string> names;
    for (const EmbeddedFile& file : embedded_below("demo/")) {
        const auto slash = file.path.find('/', 5);
        if (slash != std::string_view::npos && file.path.substr(slash + 1) == "model.safetensors") {
            names.push_back(std::string(demo_prefix) + std::string(file.path.substr(5, slash - 5)));
        }
    }
    std::stable_partition(names.begin(), names.end(),
                          [](const std::string& name) { return name == "demo:moa"; });
    return names;
}

std::shared_ptr<const Checkpoint> open_checkpoint(const std::string& source, const Progress& progress,
                                                  const CancelToken& cancel) {
    if (!source.starts_with(demo_prefix)) {
        return Checkpoint::open(std::filesystem::path(source), progress, cancel);
    }
    const std::string folder = "demo/" + source.substr(demo_prefix.size()) + "/";
    if (!find_embedded(folder + "model.safetensors")) {
        throw Error(ErrorKind::usage, "There is no demo model '" + printable(source) + "'.",
                    {.advice = "The demo models are: " + joined(demo_models()) + "."});
    }
    return Checkpoint::open_embedded(folder);
}

bool has_tokenizer(const Checkpoint& checkpoint) {
    const auto beside = [&](const char* name) { return checkpoint.has_side_file(name); };
    return checkpoint.attached(AttachmentKind::tokenizer) ||
           checkpoint.typed_metadata().find("tokenizer.ggml.tokens") || beside("tokenizer.json") ||
           beside("vocab.json") || beside("vocab.txt");
}

std::shared_ptr<const Tokenizer> open_tokenizer(const Checkpoint& checkpoint) {
    const TypedMetadata& metadata = checkpoint.typed_metadata();
    if (!checkpoint.attached(AttachmentKind::tokenizer)) {
        if (auto table = token_table_of(metadata)) {
            if (const auto text = checkpoint.side_file("chat_template.jinja")) { // wins over the metadata's
                table->chat_template = *text;
            }
            return Tokenizer::from_table(*table, metadata.file_name());
        }
    }
    return Tokenizer::from_files([&](const std::string& name) { return checkpoint.side_file(name); },
                                 read_named_templates(checkpoint.side_folder(named_templates, ".jinja")));
}

std::shared_ptr<const Tokenizer> open_tokenizer(const Checkpoint& checkpoint, const ModelInfo& info,
                                                std::vector<std::string>& notes) {
    auto tokenizer = open_tokenizer(checkpoint);
    if (!tokenizer) {
        if (checkpoint.attached(AttachmentKind::tokenizer)) {
            throw Error(
                ErrorKind::format, "no tokenizer could be made of the file that is attached.",
                {.code = "TK-VOCAB",
                 .advice = "Attach a tokenizer.json, a vocab.json with its merges.txt, or a vocab.txt."});
        }
        return nullptr;
    }
    const std::int64_t tokens = tokenizer->vocab_size(), rows = info.vocabulary;
    std::int64_t beyond = 0, ordinary = 0;
    for (std::int64_t id = rows; id < tokens; ++id) {
        const auto each = static_cast<std::int32_t>(id);
        beyond += tokenizer->has_token(each);
        ordinary += tokenizer->has_token(each) && !tokenizer->is_added(each);
    }
    if (ordinary > 0) {
        throw Error(
            ErrorKind::mismatch,
            "the tokenizer has ids up to " + std::to_string(tokens - 1) + ", but the model's embedding has " +
                std::to_string(rows) + " rows.",
            {.code = "TK-SIZE", .advice = "It belongs to another model; use this model's own tokenizer."});
    }
    if (beyond > 0) {
        notes.push_back(std::to_string(beyond) + " added tokens have ids beyond the embedding's " +
                        std::to_string(rows) + " rows (TK-SIZE): a text that holds one cannot be read.");
    }
    return tokenizer;
}

namespace {

bool still_as_it_was(const std::shared_ptr<const Checkpoint>& checkpoint) {
    try {
        if (checkpoint) {
            checkpoint->check_unchanged();
        }
        return checkpoint != nullptr;
    } catch (const Error&) { // what stands there now is opened instead
        return false;
    }
}

std::string model_card(const Checkpoint& checkpoint) {
    try {
        return checkpoint.side_file("README.md").value_or("");
    } catch (const Error&) { // a text that cannot be read keeps no model from opening
        return {};
    }
}

} // namespace

std::shared_ptr<const OpenedModel> open_all(const std::string& source, const OpenModelOptions& options,
                                            const Progress& progress, const CancelToken& cancel) {
    const auto say = [&](double done, const char* what) {
        cancel.check();
        if (progress) {
            progress(done, 4, what);
        }
    };
    auto opened = std::make_shared<OpenedModel>();
    opened->source = source;
    opened->options = options;
    say(0, "reading headers");
    opened->checkpoint =
        still_as_it_was(options.checkpoint) ? options.checkpoint : open_checkpoint(source, progress, cancel);
    opened->checkpoint = Checkpoint::with(opened->checkpoint, options.attachments);
    say(1, "building the model");
    OpenOptions model_options = options.model;
    if (options.context > 0) {
        model_options.context = options.context;
    }
    opened->model = open_model(opened->checkpoint, model_options);
    const std::int64_t most = opened->model->max_positions();
    if (options.context > most) {
        throw Error(ErrorKind::usage,
                    "A context of " + std::to_string(options.context) +
                        " tokens was asked for, but this model has " + std::to_string(most) + ".",
                    {.advice = "Ask for " + std::to_string(most) + " or fewer."});
    }
    opened->context = options.context > 0 ? options.context : std::min(most, opened->model->info().context);
    say(2, "reading the tokenizer");
    opened->tokenizer = open_tokenizer(*opened->checkpoint, opened->model->info(), opened->notes);
    opened->defaults = generation_defaults(*opened->checkpoint);
    if (opened->tokenizer) {
        opened->chat = ChatFormat::detect(opened->tokenizer, opened->model->info().base_model);
    }
    opened->card = model_card(*opened->checkpoint);
    say(3, "preparing the weights");
    load_by_name(*opened, options.backend, options.context > 0, progress, cancel);
    opened->checkpoint->check_unchanged();
    say(4, "ready");
    return opened;
}

std::shared_ptr<const OpenedModel> open_elsewhere(const OpenedModel& opened, const BackendWish& wish,
                                                  const std::string& why, const Progress& progress,
                                                  const CancelToken& cancel) {
    auto other = std::make_shared<OpenedModel>(opened);
    other->loaded.reset();
    other->writer.reset();
    other->options.backend = wish.backend;
    other->options.diagnostics = wish.diagnostics;
    load_by_name(*other, wish.backend, true, progress, cancel);
    if (!why.empty()) {
        other->choice.reason = why;
    }
    return other;
}

} // namespace ergo
