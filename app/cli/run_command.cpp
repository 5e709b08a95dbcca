// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/cli/commands.h"
#include "engine/base/atomic_file.h"
#include "engine/base/error.h"
#include "engine/generate/end_tokens.h"
#include "engine/generate/generation.h"
#include "engine/generate/memory_use.h"

#include <chrono>
#include <cstdio>

namespace ergo::cli {

namespace {

SamplingParams sampling_from(const Arguments& arguments, const GenerationDefaults& defaults) {
    SamplingParams sampling = recipe_of(arguments).sampling;
    if (arguments.has("--advised") && defaults.sampling) {
        sampling = *defaults.sampling;
    }
    sampling.temperature = arguments.real("--temperature", sampling.temperature);
    sampling.top_k = static_cast<std::int32_t>(arguments.integer("--top-k", sampling.top_k, 0, 1 << 24));
    sampling.top_p = arguments.real("--top-p", sampling.top_p);
    sampling.min_p = arguments.real("--min-p", sampling.min_p);
    sampling.repeat_penalty = arguments.real("--repeat-penalty", sampling.repeat_penalty);
    if (arguments.has("--seed")) {
        sampling.seed = static_cast<std::uint64_t>(arguments.integer("--seed", 0, 0, INT64_MAX));
    }
    validate(sampling);
    return sampling;
}

/// "PLACE=ID": the token written at that place of the reply, from 0.
std::map<std::int64_t, std::int32_t> tokens_to_take(const Arguments& arguments) {
    std::map<std::int64_t, std::int32_t> take;
    for (const std::string& text : arguments.all("--take")) {
        const auto equals = text.find('=');
        const std::string numbers =
            equals == std::string::npos ? "" : text.substr(0, equals) + "," + text.substr(equals + 1);
        const auto pair = numbers.empty() ? std::vector<std::int32_t>{} : parse_ids(numbers);
        if (pair.size() != 2 || pair[0] < 0) {
            throw UsageError("--take '" + printable(text) + "' is not of the form PLACE=ID.");
        }
        take[pair[0]] = pair[1];
    }
    return take;
}

/// What this run changed and how it sampled.
void save_recipe(const Arguments& arguments, const SamplingParams& sampling) {
    Recipe recipe = recipe_of(arguments);
    const auto& more = arguments.all("--set");
    recipe.set.insert(recipe.set.end(), more.begin(), more.end());
    recipe.sampling = sampling;
    AtomicFile file(arguments.text("--save-recipe"));
    file.write(write_recipe(recipe));
    file.commit();
}

GenerateRequest request_from(const Arguments& arguments, const OpenedModel& opened) {
    GenerateRequest request;
    request.sampling = sampling_from(arguments, opened.defaults);
    request.max_tokens = arguments.integer("-n", 256, 0, 1 << 24);
    request.stop = arguments.all("--stop");
    request.take = tokens_to_take(arguments);
    if (arguments.has("--tokens")) {
        request.prompt = parse_ids(arguments.text("--tokens"));
    } else if (arguments.has("--chat")) {
        tokenizer_of(opened);
        if (!opened.chat->can_chat()) {
            throw Error(ErrorKind::usage, "This model has no chat format; it continues text.",
                        {.advice = "Leave --chat out."});
        }
        std::vector<ChatMessage> messages;
        if (arguments.has("--system")) {
            messages.push_back({Role::system, arguments.text("--system"), {}});
        }
        messages.push_back({Role::user, arguments.required("-p"), {}});
        if (!opened.chat->problem().empty()) {
            std::fprintf(stderr, "ergo: %s\n", opened.chat->problem().c_str());
        }
        request.prompt = opened.chat->render(messages, true, arguments.has("--special")).ids;
        request.stop_ids = opened.chat->stop_ids();
    } else {
        request.prompt = prompt_ids(arguments, opened);
    }
    const auto ends = end_tokens(*opened.checkpoint, opened.tokenizer.get());
    request.stop_ids.insert(request.stop_ids.end(), ends.begin(), ends.end());
    return request;
}

const char* reason_in_words(EventFinished::Reason reason) {
    switch (reason) {
    case EventFinished::Reason::stop_token:
        return "end of text";
    case EventFinished::Reason::stop_string:
        return "stop string";
    case EventFinished::Reason::length:
        return "length limit";
    case EventFinished::Reason::context_full:
        return "context full: ask for a longer --context, or for less";
    case EventFinished::Reason::cancelled:
        return "interrupted";
    case EventFinished::Reason::failed:
        break;
    }
    return "failed";
}

} // namespace

Syntax run_syntax() {
    return {
        "run",
        "Generates text, streaming to stdout; speed and context use go to stderr.\nCtrl-C stops cleanly.",
        {"MODEL"},
        with_model_options(
            {{"-p", "TEXT", "the prompt"},
             {"--tokens", "IDS", "the prompt as token ids: 1,2,3 or @FILE"},
             {"--chat", "", "apply the model's chat format to the prompt"},
             special_option(),
             {"--system", "TEXT", "system prompt, with --chat"},
             {"-n", "N", "write at most N tokens (default 256)"},
             {"--temperature", "T", "0 (default) is greedy"},
             {"--top-k", "K", "only the K likeliest tokens (0: off)"},
             {"--top-p", "P", "only the likeliest tokens that make up P (1: off)"},
             {"--min-p", "P", "only tokens with at least P times the likeliest's chance (0: off)"},
             {"--repeat-penalty", "R", "makes recent tokens less likely (1: off)"},
             {"--advised", "", "sample as the model's generation_config.json advises, where not said here"},
             {"--seed", "S", "same seed, same text (default 0)"},
             {"--stop", "S", "end when this text appears", true},
             {"--take", "PLACE=ID", "write this token at that place of the reply (0: its first)", true},
             {"--save-recipe", "FILE", "write the changes and the sampling of this run as a recipe"}})};
}

int run_command(const Arguments& arguments, const Context& context) {
    const auto begun = std::chrono::steady_clock::now();
    const auto opened = open_for(arguments, context);
    const GenerateRequest request = request_from(arguments, *opened);
    if (arguments.has("--save-recipe")) {
        save_recipe(arguments, request.sampling);
    }
    Session session(opened);
    session.on_fallback([](const std::shared_ptr<const OpenedModel>&, const std::string& why) {
        std::fprintf(stderr, "\nergo: %s\n", why.c_str());
    });
    GenerationHooks hooks;
    EventPrompt prompt;
    hooks.progress = progress_line();
    hooks.prompt = [&](const EventPrompt& event) { prompt = event; };
    bool first = true;
    std::chrono::duration<double> waited{};
    hooks.token = [&](EventToken&& token) {
        if (opened->tokenizer) {
            print(token.text);
        } else {
            print((first ? "" : ",") + std::to_string(token.choice.id));
        }
        if (first) {
            waited = std::chrono::steady_clock::now() - begun;
        }
        first = false;
    };
    const EventFinished end = generate_reply(session, *opened, request, hooks, context.cancel);
    print(end.trailing_text + "\n");
    std::fprintf(
        stderr,
        "prompt %lld tokens in %.2f s · wrote %lld tokens at %.1f tokens/s · context %lld of %lld · %s\n",
        static_cast<long long>(prompt.tokens), prompt.seconds, static_cast<long long>(end.tokens),
        end.seconds > 0 ? static_cast<double>(end.tokens) / end.seconds : 0.0,
        static_cast<long long>(session.length()), static_cast<long long>(session.capacity()),
        reason_in_words(end.reason));
    const MemoryUse use = memory_use();
    const std::uint64_t planned = opened->memory.total() - opened->memory.item("capture");
    std::fprintf(
        stderr,
        "first token %.2f s after the start · memory %s, and %s of mapped files, at most %s at once; "
        "planned %s, %s of it mapped\n",
        waited.count(), bytes_text(use.own).c_str(), bytes_text(use.mapped).c_str(),
        bytes_text(peak_memory()).c_str(), bytes_text(planned).c_str(),
        bytes_text(opened->memory.in_place).c_str());
    return 0;
}

} // namespace ergo::cli
