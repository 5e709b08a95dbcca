// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/commands.h"
#include "app/cli/text_input.h"
#include "engine/base/error.h"
#include "engine/lab/compare.h"
#include "engine/lab/evaluate.h"

#include <nlohmann/json.hpp>

#include <cstdio>

namespace ergo::cli {

namespace {

using nlohmann::json;

json to_json(const Evaluation& r, const TextInput& text) {
    json out{{"perplexity", r.perplexity()},
             {"word_perplexity", nullptr},
             {"bits_per_byte", nullptr},
             {"tokens", r.tokens},
             {"nll", r.nll},
             {"words", nullptr},
             {"bytes", nullptr},
             {"window", r.window},
             {"stride", r.stride},
             {"windows", r.windows},
             {"seconds", r.seconds},
             {"tokens_per_second", static_cast<double>(r.tokens) / r.seconds}};
    if (text.words > 0) {
        out["words"] = text.words;
        out["word_perplexity"] = r.word_perplexity(text.words);
    }
    if (text.bytes > 0) {
        out["bytes"] = text.bytes;
        out["bits_per_byte"] = r.bits_per_byte(text.bytes);
    }
    return out;
}

std::string row(const char* name, const char* format, double value, const char* unit) {
    char number[64], line[160];
    std::snprintf(number, sizeof number, format, value);
    std::snprintf(line, sizeof line, "%-20s %14s %s\n", name, number, unit);
    return line;
}

std::string table(const Evaluation& r, const TextInput& text) {
    std::string out = row("perplexity", "%.4f", r.perplexity(), "");
    if (text.words > 0) {
        out += row("word perplexity", "%.4f", r.word_perplexity(text.words), "");
    }
    if (text.bytes > 0) {
        out += row("bits per byte", "%.5f", r.bits_per_byte(text.bytes), "");
    }
    const auto count = [](std::int64_t n) { return static_cast<double>(n); };
    return out + row("tokens predicted", "%.0f", count(r.tokens), "") +
           row("log-likelihood", "%.4f", -r.nll, "nats") +
           row("windows", "%.0f", count(r.windows),
               ("of " + std::to_string(r.window) + " tokens, stride " + std::to_string(r.stride)).c_str()) +
           row("speed", "%.1f", count(r.tokens) / r.seconds, "tokens/s");
}

json to_json(const Comparison& c) {
    return {{"mean_kl", c.mean_divergence},
            {"largest_kl", c.largest_divergence},
            {"largest_logit_difference", c.largest_logit_difference},
            {"largest_logit", c.largest_logit},
            {"same_first_token", c.same_first},
            {"tokens", c.tokens}};
}

std::string table(const Comparison& c) {
    return row("mean KL", "%.3e", c.mean_divergence, "nats from the original") +
           row("largest KL", "%.3e", c.largest_divergence, "nats") +
           row("logit difference", "%.4f", c.largest_logit_difference, "at most") +
           row("same first token", "%.2f", 100 * c.same_first, "%");
}

/// The model named by --against, on the same backend as it is stored, keys and values in floats.
Comparison compare_with(const std::string& source, const OpenedModel& opened, const TextInput& text,
                        const Arguments& arguments, const Context& context) {
    OpenModelOptions options = parse_model_options(arguments);
    options.model.dtype.clear();
    options.model.cache.clear();
    options.context = opened.context;
    const auto original = open_all(source, options, progress_line(), context.cancel);
    return compare(*original, opened, {text.tokens}, progress_line(), context.cancel);
}

} // namespace

Syntax eval_syntax() {
    return {
        "eval",
        "Perplexity, word perplexity and bits per byte of a text, in strided windows.\n"
        "Each window predicts the tokens that no earlier one did. Perplexity is exp(nll / tokens), word\n"
        "perplexity exp(nll / words), bits per byte nll / (bytes ln 2); nll is a sum, in nats.\n"
        "Ctrl-C stops.",
        {"MODEL"},
        with_model_options(text_options(
            {{"--window", "N", "tokens a window (default 2048, or the context if shorter)"},
             {"--stride", "N", "new tokens a window (default: half the window)"},
             {"--against", "MODEL",
              "also how far the predictions are from this model's, as it is stored and with keys and values "
              "in f32: mean KL divergence, largest difference of logits. With the same MODEL, what --dtype "
              "and --cache cost on this text"},
             {"--json", "", "print one JSON object"}}))};
}

int eval_command(const Arguments& arguments, const Context& context) {
    EvaluationRequest request;
    request.window = arguments.integer("--window", 0, 2, std::int64_t{1} << 24);
    request.stride = arguments.integer("--stride", 0, 1, std::int64_t{1} << 24);
    check_text_options(arguments);
    const auto opened = open_for(arguments, context);
    const TextInput text = read_text_input(arguments, *opened);
    request.tokens = text.tokens;
    const Evaluation result = evaluate(*opened, request, progress_line(), context.cancel);
    json object = to_json(result, text);
    std::string lines = table(result, text);
    if (arguments.has("--against")) {
        const Comparison c = compare_with(arguments.text("--against"), *opened, text, arguments, context);
        object["against"] = to_json(c);
        lines += table(c);
    }
    print(arguments.has("--json") ? object.dump(1) + "\n" : lines);
    return 0;
}

} // namespace ergo::cli
