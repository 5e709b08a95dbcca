// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/compare.h"

#include "engine/base/error.h"
#include "engine/checkpoint/grouped_container.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace ergo {

namespace {

constexpr std::int64_t window = 512, chunk_rows = 64;

struct Exchange {
    const char *question, *answer;
};
constexpr Exchange exchanges[] = {
    {"Solve 3x + 2 = 17", "3x = 17 - 2\n3x = 15\nx = 15 / 3\nx = 5"},
    {"Solve -4x + 9 = 41", "-4x = 41 - 9\n-4x = 32\nx = 32 / -4\nx = -8"},
    {"Solve 7x - 5 = 16", "7x = 16 + 5\n7x = 21\nx = 21 / 7\nx = 3"},
    {"Solve -2x - 11 = 7", "-2x = 7 + 11\n-2x = 18\nx = 18 / -2\nx = -9"},
    {"Solve 12x + 30 = -18", "12x = -18 - 30\n12x = -48\nx = -48 / 12\nx = -4"},
    {"Solve 5x + 1 = 61", "5x = 61 - 1\n5x = 60\nx = 60 / 5\nx = 12"},
    {"62 - 85", "62 - 85 = -23"},
    {"17 + 48", "17 + 48 = 65"},
    {"90 - 34", "90 - 34 = 56"},
    {"55 + 26", "55 + 26 = 81"},
    {"What does the router ribbon mean?",
     "The ribbon has a column per token. Its colours show how much each path contributed."},
    {"What is a ball?", "Each head has a ball. Keys outside it are pruned, so the head never reads them."},
};

/// One of the two models at work.
class Reader {
  public:
    Reader(const OpenedModel& opened, std::int64_t positions)
        : executor_(opened.loaded->create_executor(positions)) {
        PlanRequest request;
        request.max_rows = std::min(chunk_rows, positions);
        request.all_logits = true;
        plan_ = opened.model->build(request).plan;
        program_ = executor_->prepare(plan_);
    }
    std::span<const float> run(const StepState& step, const CancelToken& cancel) {
        executor_->run(*program_, step, cancel);
        return executor_->read(*program_, plan_->logits);
    }

  private:
    std::unique_ptr<Executor> executor_;
    std::shared_ptr<const Plan> plan_;
    std::unique_ptr<Program> program_;
};

void check_ids(std::span<const std::int32_t> ids, std::int64_t vocabulary) {
    const auto outside =
        std::find_if(ids.begin(), ids.end(), [&](std::int32_t id) { return id < 0 || id >= vocabulary; });
    if (outside != ids.end()) {
        throw Error(ErrorKind::usage, "Token " + std::to_string(*outside) + " is outside the vocabulary of " +
                                          std::to_string(vocabulary) + ".");
    }
}

double log_sum(std::span<const float> logits) {
    const double top = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float l : logits) {
        sum += std::exp(static_cast<double>(l) - top);
    }
    return top + std::log(sum);
}

void add_row(std::span<const float> p, std::span<const float> q, Comparison& out) {
    const double log_p = log_sum(p), log_q = log_sum(q);
    double divergence = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
        const double a = p[i], b = q[i];
        divergence += std::exp(a - log_p) * ((a - log_p) - (b - log_q));
        out.largest_logit = std::max(out.largest_logit, std::abs(a));
        out.largest_logit_difference = std::max(out.largest_logit_difference, std::abs(a - b));
    }
    if (!std::isfinite(divergence)) {
        throw Error(ErrorKind::mismatch, "The models' outputs are not finite and cannot be compared.");
    }
    out.mean_divergence += divergence;
    out.largest_divergence = std::max(out.largest_divergence, divergence);
    out.same_first +=
        std::max_element(p.begin(), p.end()) - p.begin() == std::max_element(q.begin(), q.end()) - q.begin();
    ++out.tokens;
}

} // namespace

Comparison compare(const OpenedModel& original, const OpenedModel& other, const TokenTexts& texts,
                   const Progress& progress, const CancelToken& cancel) {
    const std::int64_t vocabulary = original.model->info().vocabulary;
    if (other.model->info().vocabulary != vocabulary) {
        throw Error(ErrorKind::usage,
                    "One model knows " + std::to_string(vocabulary) + " tokens, the other " +
                        std::to_string(other.model->info().vocabulary) + ".",
                    {.advice = "Compare models of one vocabulary."});
    }
    std::int64_t count = 0;
    for (const auto& text : texts) {
        check_ids(text, vocabulary);
        count += static_cast<std::int64_t>(text.size());
    }
    if (count == 0) {
        throw Error(ErrorKind::usage, "There is no token to compare at.");
    }
    const std::int64_t length = std::min({window, original.context, other.context});
    Reader p(original, length), q(other, length);
    const auto width = static_cast<std::size_t>(vocabulary);
    Comparison out;
    for (const auto& text : texts) {
        for (std::int64_t at = 0; at < static_cast<std::int64_t>(text.size());) {
            const std::int64_t position = at % length;
            const std::int64_t rows =
                std::min({chunk_rows, length - position, static_cast<std::int64_t>(text.size()) - at});
            const StepState step{position, {text.begin() + at, text.begin() + at + rows}};
            const auto a = p.run(step, cancel), b = q.run(step, cancel);
            for (std::size_t r = 0; r < static_cast<std::size_t>(rows); ++r) {
                add_row(a.subspan(r * width, width), b.subspan(r * width, width), out);
            }
            at += rows;
            if (progress) {
                progress(static_cast<double>(out.tokens), static_cast<double>(count), "comparing");
            }
        }
    }
    out.mean_divergence /= static_cast<double>(out.tokens);
    out.same_first /= static_cast<double>(out.tokens);
    return out;
}

TokenTexts comparison_texts(const OpenedModel& opened) {
    TokenTexts texts;
    if (opened.tokenizer) {
        for (const auto& [question, answer] : exchanges) {
            texts.push_back(
                opened.chat && opened.chat->can_chat()
                    ? opened.chat->render({{Role::user, question, {}}, {Role::assistant, answer, {}}}, false)
                          .ids
                    : opened.tokenizer->encode(std::string(question) + "\n" + answer + "\n"));
        }
        return texts;
    }
    std::vector<std::int32_t> ids(256);
    for (std::size_t i = 0; i < ids.size(); ++i) {
        ids[i] =
            static_cast<std::int32_t>(i * 7919 % static_cast<std::size_t>(opened.model->info().vocabulary));
    }
    texts.push_back(std::move(ids));
    return texts;
}

Comparison rounding_cost(const std::string& source, OpenModelOptions rounded, const Progress& progress,
                         const CancelToken& cancel) {
    rounded.backend = "cpu";
    rounded.context = window;
    OpenModelOptions stored = rounded;
    stored.model.dtype.clear();
    stored.model.cache.clear();
    const auto original = open_all(source, stored, progress, cancel);
    rounded.context = original->context;
    rounded.checkpoint = original->checkpoint;
    const auto other = open_all(source, rounded, progress, cancel);
    return compare(*original, *other, comparison_texts(*original), progress, cancel);
}

std::map<std::string, std::string> comparison_metadata(const Comparison& comparison) {
    const auto text = [](double value) {
        char digits[32];
        std::snprintf(digits, sizeof digits, "%.4g", value);
        return std::string(digits);
    };
    return {{quantised_divergence_key, text(comparison.mean_divergence)},
            {quantised_difference_key, text(comparison.largest_logit_difference)},
            {quantised_tokens_key, std::to_string(comparison.tokens)}};
}

} // namespace ergo
