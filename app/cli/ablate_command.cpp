// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/commands.h"
#include "app/cli/text_input.h"
#include "engine/base/error.h"
#include "engine/lab/ablate.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>

namespace ergo::cli {

namespace {

using nlohmann::json;

double per_token(const Evaluation& e) {
    return e.nll / static_cast<double>(e.tokens);
}

json to_json(const Evaluation& e, const TextInput& text) {
    json out{{"perplexity", e.perplexity()}, {"tokens", e.tokens}, {"nll", e.nll}};
    out["word_perplexity"] = text.words > 0 ? json(e.word_perplexity(text.words)) : json(nullptr);
    out["bits_per_byte"] = text.bytes > 0 ? json(e.bits_per_byte(text.bytes)) : json(nullptr);
    return out;
}

json to_json(const Ablation& result, const TextInput& text) {
    json rows = json::array();
    for (const AblationRow& row : result.rows) {
        json out{{"name", row.variant.name}, {"set", row.variant.set}};
        if (row.problem.empty()) {
            out.update(to_json(row.result, text));
            out["nll_difference"] = per_token(row.result) - per_token(result.baseline);
        } else {
            out["problem"] = row.problem;
        }
        rows.push_back(std::move(out));
    }
    return {{"baseline", to_json(result.baseline, text)},
            {"window", result.baseline.window},
            {"stride", result.baseline.stride},
            {"rows", std::move(rows)}};
}

/// Columns of a code point each; the names are those of models, so this is near enough.
std::string padded(const std::string& text, std::size_t width) {
    const auto columns = static_cast<std::size_t>(std::count_if(
        text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
    return text + std::string(columns < width ? width - columns : 0, ' ');
}

std::string line(const std::string& name, const Evaluation& e, const Evaluation& baseline) {
    char numbers[96];
    std::snprintf(numbers, sizeof numbers, " %14.4f %+12.5f\n", e.perplexity(),
                  per_token(e) - per_token(baseline));
    return padded(name, 44) + numbers;
}

std::string table(const Ablation& result) {
    std::string out = padded("", 44) + "     perplexity   nats/token\n" +
                      line("as it is", result.baseline, result.baseline);
    for (const AblationRow& row : result.rows) {
        out += row.problem.empty() ? line(row.variant.name, row.result, result.baseline)
                                   : padded(row.variant.name, 44) + "  not possible: " + row.problem + "\n";
    }
    return out;
}

} // namespace

Syntax ablate_syntax() {
    return {"ablate",
            "Evaluates a table of interventions on a text: what each part of the model is worth.\n"
            "--grid is a list separated by commas: heads, paths, topk, balls, metric, masses, depth, or\n"
            "NAME=VALUE|VALUE (NAME*=… scales) with a name as --set takes it. Without it: all that the\n"
            "model has but heads.",
            {"MODEL"},
            with_model_options(
                text_options({{"--grid", "SPEC", "what is changed, one after the other"},
                              {"--window", "N", "tokens a window (default 2048, or the context if shorter)"},
                              {"--stride", "N", "new tokens a window (default: half the window)"},
                              {"--json", "", "print one JSON object"}}))};
}

int ablate_command(const Arguments& arguments, const Context& context) {
    EvaluationRequest request;
    request.window = arguments.integer("--window", 0, 2, std::int64_t{1} << 24);
    request.stride = arguments.integer("--stride", 0, 1, std::int64_t{1} << 24);
    check_text_options(arguments);
    const OpenModelOptions options = parse_model_options(arguments);
    const auto opened = open_all(*arguments.positional(0), options, progress_line(), context.cancel);
    const TextInput text = read_text_input(arguments, *opened);
    request.tokens = text.tokens;
    const auto grid = ablation_grid(*opened->model, arguments.text("--grid"));
    const Ablation result = ablate(*opened, options, request, grid, progress_line(), context.cancel);
    print(arguments.has("--json") ? to_json(result, text).dump(1) + "\n" : table(result));
    return 0;
}

} // namespace ergo::cli
