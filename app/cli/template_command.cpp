// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/commands.h"
#include "engine/base/error.h"

#include <nlohmann/json.hpp>
#include <unistd.h>

#include <filesystem>

namespace ergo::cli {

namespace {

/// A base model continues text: without a template of its own its vocabulary's markers mean nothing. False
/// also where there are no weights to tell it by.
bool is_base_model(const Arguments& arguments, const Context& context) {
    try {
        return open_model(checkpoint_for(arguments, *arguments.positional(0), context), {})
            ->info()
            .base_model;
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::cancelled) {
            throw;
        }
        return false;
    }
}

} // namespace

Syntax template_syntax() {
    return {
        "template",
        "Applies the model's chat format to a conversation and prints the prompt, without a line end of its "
        "own.\nThe file holds [{\"role\": \"user\", \"content\": \"…\"}, …], or an object with \"messages\" "
        "and what "
        "else\nthe template uses (\"tools\", \"documents\" …).",
        {"MODEL"},
        {{"-f", "FILE.json", "the messages"},
         {"--generate", "", "append the opening of an assistant's reply"},
         {"--special", "", "special tokens inside the messages' texts count as such in the ids"},
         attach_option(),
         {"--json", "", "print {\"text\": …, \"ids\": […], \"format\": …, \"ranges\": […]}"}}};
}

int template_command(const Arguments& arguments, const Context& context) {
    const std::string path = arguments.required("-f");
    const auto tokenizer = load_tokenizer(arguments, context);
    auto format = ChatFormat::detect(tokenizer);
    if (format.kind() == ChatFormat::Kind::chat_ml && is_base_model(arguments, context)) {
        format = ChatFormat::detect(tokenizer, true);
    }
    const RenderedChat chat =
        format.render_json(read_text_file(path), std::filesystem::path(path).filename().string(),
                           arguments.has("--generate"), arguments.has("--special"));
    if (!format.problem().empty()) {
        std::fprintf(stderr, "ergo: %s\n", format.problem().c_str());
    }
    if (!arguments.has("--json")) {
        print(chat.text + (isatty(STDOUT_FILENO) && !chat.text.ends_with('\n') ? "\n" : ""));
        return 0;
    }
    nlohmann::json out{
        {"text", chat.text}, {"ids", chat.ids}, {"format", format.name()}, {"ranges", chat.ranges}};
    print(out.dump() + "\n");
    return 0;
}

} // namespace ergo::cli
