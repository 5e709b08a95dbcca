// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/text_input.h"

#include "engine/base/error.h"
#include "engine/lab/evaluate.h"

namespace ergo::cli {

std::vector<Option> text_options(std::vector<Option> own) {
    std::vector<Option> all{
        {"-f", "TEXT", "a text file"},
        {"--tokens", "IDS", "token ids instead: 1,2,3 or @FILE with one per line"},
        {"--start", "",
         "put the start token (bos, else eos) first, so that the first token is predicted too"}};
    all.insert(all.end(), own.begin(), own.end());
    return all;
}

void check_text_options(const Arguments& arguments) {
    if (arguments.has("-f") == arguments.has("--tokens")) {
        throw UsageError("Give a text with -f FILE or its ids with --tokens.");
    }
}

TextInput read_text_input(const Arguments& arguments, const OpenedModel& opened) {
    TextInput out;
    if (arguments.has("--tokens")) {
        out.tokens = parse_ids(arguments.text("--tokens"));
    } else {
        const std::string text = read_text_file(arguments.text("-f"));
        out.bytes = static_cast<std::int64_t>(text.size());
        out.words = count_words(text);
        EncodeOptions options;
        options.add_special_tokens = true;
        out.tokens = tokenizer_of(opened).encode(text, options);
    }
    if (arguments.has("--start")) {
        const Tokenizer& tokenizer = tokenizer_of(opened);
        const auto start = tokenizer.bos() ? tokenizer.bos() : tokenizer.eos();
        if (!start) {
            throw Error(ErrorKind::usage, "This model's tokenizer names no start token.",
                        {.advice = "Leave --start out, or give ids with --tokens."});
        }
        if (out.tokens.empty() || out.tokens.front() != *start) {
            out.tokens.insert(out.tokens.begin(), *start);
        }
    }
    return out;
}

} // namespace ergo::cli
