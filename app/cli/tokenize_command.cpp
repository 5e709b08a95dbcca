// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/commands.h"
#include "engine/base/error.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <ctime>

namespace ergo::cli {

std::shared_ptr<const Tokenizer> load_tokenizer(const Arguments& arguments, const Context& context) {
    const std::string source = *arguments.positional(0);
    // A tokenizer's own folder will do too: nothing here needs weights.
    if (!arguments.has("--attach") && !source.starts_with("demo:")) {
        std::error_code ignored;
        const std::filesystem::path path(source);
        const std::string name = path.filename().string();
        const bool its_file = name == "tokenizer.json" || name == "tokenizer_config.json" ||
                              name == "vocab.json" || name == "merges.txt" || name == "vocab.txt";
        if (std::filesystem::is_directory(path, ignored) || its_file) {
            const auto folder = !its_file                ? path
                                : path.has_parent_path() ? path.parent_path()
                                                         : std::filesystem::path(".");
            if (auto tokenizer = Tokenizer::from_folder(folder)) {
                return tokenizer;
            }
        }
    }
    if (auto tokenizer = open_tokenizer(*checkpoint_for(arguments, source, context))) {
        return tokenizer;
    }
    throw Error(ErrorKind::usage, "This checkpoint has no tokenizer.",
                {.advice = "Put its tokenizer.json, or vocab.json and merges.txt, beside the weights."});
}

namespace {

std::string comma_separated(const std::vector<std::int32_t>& ids) {
    std::string line;
    for (const std::int32_t id : ids) {
        line += (line.empty() ? "" : ",") + std::to_string(id);
    }
    return line;
}

double cpu_seconds() { // of this thread, so that a busy machine does not matter
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// Encodes the text again and again for a second, and says how fast the fastest round was.
std::string speed_of(const Tokenizer& tokenizer, const std::string& text, const EncodeOptions& options,
                     bool as_json) {
    const double begun = cpu_seconds();
    double best = 1e9;
    std::size_t tokens = 0;
    do {
        const double start = cpu_seconds();
        tokens = tokenizer.encode(text, options).size();
        best = std::min(best, cpu_seconds() - start);
    } while (cpu_seconds() - begun < 1);
    const double rate = static_cast<double>(text.size()) / 1e6 / std::max(best, 1e-9);
    if (as_json) {
        return nlohmann::json{{"bytes", text.size()},
                              {"tokens", tokens},
                              {"seconds", best},
                              {"megabytes_per_second", rate}}
                   .dump() +
               "\n";
    }
    char line[128];
    std::snprintf(line, sizeof line, "%.1f MB/s on one core: %zu bytes, %zu tokens in %.4f s\n", rate,
                  text.size(), tokens, best);
    return line;
}

} // namespace

Syntax tokenize_syntax() {
    return {"tokenize",
            "Text to token ids. Added tokens in the text are matched.",
            {"MODEL", "[TEXT]"},
            {{"-f", "FILE", "read the text from a file instead"},
             {"--special", "", "add what the tokenizer's post-processor adds"},
             {"--speed", "", "print how fast it is instead of the ids"},
             attach_option(),
             {"--json", "", "print {\"ids\": […], \"tokens\": […]}"}}};
}

int tokenize_command(const Arguments& arguments, const Context& context) {
    const auto text = arguments.positional(1);
    if (text.has_value() == arguments.has("-f")) {
        throw UsageError("Give the text either as an argument or with -f FILE.");
    }
    const auto tokenizer = load_tokenizer(arguments, context);
    EncodeOptions options;
    options.add_special_tokens = arguments.has("--special");
    const std::string given = text ? *text : read_text_file(arguments.text("-f"));
    if (arguments.has("--speed")) {
        print(speed_of(*tokenizer, given, options, arguments.has("--json")));
        return 0;
    }
    const auto ids = tokenizer->encode(given, options);
    if (arguments.has("--json")) {
        nlohmann::json out{{"ids", ids}, {"tokens", nlohmann::json::array()}};
        for (const std::int32_t id : ids) {
            out["tokens"].push_back(tokenizer->token_text(id));
        }
        print(out.dump() + "\n");
    } else {
        print(comma_separated(ids) + "\n");
    }
    return 0;
}

Syntax detokenize_syntax() {
    return {"detokenize",
            "Token ids to text; bytes that are no UTF-8 become U+FFFD.",
            {"MODEL", "IDS"},
            {{"--skip-special", "", "leave special tokens out"},
             attach_option(),
             {"--json", "", "print {\"text\": …}"}}};
}

int detokenize_command(const Arguments& arguments, const Context& context) {
    const auto ids = parse_ids(*arguments.positional(1));
    const auto tokenizer = load_tokenizer(arguments, context);
    const std::string text = tokenizer->decode(ids, arguments.has("--skip-special"));
    print((arguments.has("--json") ? nlohmann::json{{"text", text}}.dump() : text) + "\n");
    return 0;
}

} // namespace ergo::cli
