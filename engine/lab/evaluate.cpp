// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/evaluate.h"

#include "engine/base/error.h"
#include "engine/base/thread_pool.h"
#include "engine/base/utf8.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numbers>
#include <numeric>

namespace ergo {

namespace {

constexpr std::int64_t chunk_rows = 64; // logits of so many rows are held at once
constexpr std::int64_t usual_window = 2048;

/// One window: rows [begin, end - 1) are read, tokens [first, end) are predicted. Absolute positions.
struct Window {
    std::int64_t begin = 0, first = 0, end = 0;
};

std::vector<Window> windows_of(std::int64_t tokens, std::int64_t window, std::int64_t stride) {
    std::vector<Window> out;
    std::int64_t predicted = 0; // end of what earlier windows predicted
    for (std::int64_t begin = 0;; begin += stride) {
        const std::int64_t end = std::min(begin + window, tokens);
        const std::int64_t first = std::max(predicted, begin + 1);
        if (first < end) {
            out.push_back({begin, first, end});
        }
        if (end == tokens) {
            return out;
        }
        predicted = end;
    }
}

void refuse(const std::string& sentence) {
    throw Error(ErrorKind::usage, sentence);
}

EvaluationRequest checked(const OpenedModel& opened, EvaluationRequest request) {
    const auto count = static_cast<std::int64_t>(request.tokens.size());
    if (count < 2) {
        refuse("The text has " + std::to_string(count) + " tokens; at least 2 are needed to predict one.");
    }
    const std::int64_t vocabulary = opened.model->info().vocabulary;
    for (std::int64_t i = 0; i < count; ++i) {
        const std::int32_t id = request.tokens[static_cast<std::size_t>(i)];
        if (id < 0 || id >= vocabulary) {
            refuse("Token " + std::to_string(id) + " at position " + std::to_string(i) +
                   " is outside the vocabulary of " + std::to_string(vocabulary) + ".");
        }
    }
    const std::int64_t most = opened.context + 1;
    if (request.window == 0) {
        request.window = std::min(usual_window, opened.context);
    }
    if (request.window < 2 || request.window > most) {
        refuse("A window of " + std::to_string(request.window) +
               " tokens is not possible; it must hold 2 … " + std::to_string(most) + ".");
    }
    if (request.stride == 0) {
        request.stride = std::max<std::int64_t>(1, request.window / 2);
    }
    if (request.stride < 1 || request.stride > request.window) {
        refuse("A stride of " + std::to_string(request.stride) + " tokens is not possible with a window of " +
               std::to_string(request.window) + "; it must lie in 1 … " + std::to_string(request.window) +
               ".");
    }
    return request;
}

/// Runs windows on one executor; rows whose logits nobody needs go through a plan that makes none.
class Reader {
  public:
    Reader(const OpenedModel& opened, std::int64_t positions, const ParamValues& params,
           const CancelToken& cancel)
        : executor_(opened.loaded->create_executor(positions)), pool_(ThreadPool::physical_cores()),
          vocabulary_(static_cast<std::size_t>(opened.model->info().vocabulary)), cancel_(cancel) {
        for (const auto& [param, values] : params) {
            executor_->set_param(param, values);
        }
        PlanRequest request;
        request.max_rows = std::min(chunk_rows, positions);
        context_plan_ = opened.model->build(request).plan;
        request.all_logits = true;
        scored_plan_ = opened.model->build(request).plan;
        context_ = executor_->prepare(context_plan_);
        scored_ = executor_->prepare(scored_plan_);
    }

    /// Sum of -log p over the window's predicted tokens; calls after(rows) when rows were run.
    template <class After>
    double run(std::span<const std::int32_t> tokens, const Window& window, After after) {
        double nll = 0;
        const std::int64_t scored_from = window.first - 1;
        for (std::int64_t at = window.begin; at < window.end - 1;) {
            const bool scored = at >= scored_from;
            const std::int64_t end = scored ? window.end - 1 : scored_from;
            const std::int64_t rows = std::min(context_plan_->max_rows, end - at);
            const auto ids = tokens.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(rows));
            const StepState step{at - window.begin, {ids.begin(), ids.end()}};
            executor_->run(scored ? *scored_ : *context_, step, cancel_);
            if (scored) {
                nll += sum(tokens.subspan(static_cast<std::size_t>(at) + 1, static_cast<std::size_t>(rows)));
            }
            at += rows;
            after(rows);
        }
        return nll;
    }

  private:
    /// Of the last scored step, whose row r predicts targets[r]. Rows are summed in order.
    double sum(std::span<const std::int32_t> targets) {
        const std::span<const float> logits = executor_->read(*scored_, scored_plan_->logits);
        rows_.assign(targets.size(), 0);
        pool_.parallel_for(
            static_cast<std::int64_t>(targets.size()), 1, [&](std::int64_t begin, std::int64_t end, int) {
                for (auto r = static_cast<std::size_t>(begin); r < static_cast<std::size_t>(end); ++r) {
                    rows_[r] =
                        negative_log_likelihood(logits.subspan(r * vocabulary_, vocabulary_), targets[r]);
                }
            });
        if (std::any_of(rows_.begin(), rows_.end(), [](double x) { return std::isnan(x); })) {
            throw Error(ErrorKind::mismatch, "The model's output is not finite; its weights or a changed "
                                             "parameter make no sense.");
        }
        return std::accumulate(rows_.begin(), rows_.end(), 0.0);
    }

    std::unique_ptr<Executor> executor_;
    std::shared_ptr<const Plan> context_plan_, scored_plan_;
    std::unique_ptr<Program> context_, scored_;
    ThreadPool pool_;
    std::size_t vocabulary_;
    std::vector<double> rows_;
    CancelToken cancel_;
};

bool is_space(char32_t c) {
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}

} // namespace

double Evaluation::perplexity() const {
    return std::exp(nll / static_cast<double>(tokens));
}

double Evaluation::word_perplexity(std::int64_t words) const {
    return std::exp(nll / static_cast<double>(words));
}

double Evaluation::bits_per_byte(std::int64_t bytes) const {
    return nll / (static_cast<double>(bytes) * std::numbers::ln2);
}

double negative_log_likelihood(std::span<const float> logits, std::int32_t target) {
    double top = -INFINITY;
    for (const float l : logits) {
        top = std::max(top, static_cast<double>(l));
    }
    double sum = 0;
    for (const float l : logits) {
        sum += std::exp(static_cast<double>(l) - top);
    }
    return std::log(sum) + top - static_cast<double>(logits[static_cast<std::size_t>(target)]);
}

std::int64_t count_words(std::string_view text) {
    std::int64_t words = 0;
    bool inside = false;
    for (std::size_t at = 0; at < text.size();) {
        const Utf8Char c = decode_utf8(text, at);
        const bool space = c.valid && is_space(c.code_point);
        words += !space && !inside;
        inside = !space;
        at += c.length;
    }
    return words;
}

Evaluation evaluate(const OpenedModel& opened, const EvaluationRequest& asked, const Progress& progress,
                    const CancelToken& cancel, const ParamValues& params) {
    const EvaluationRequest request = checked(opened, asked);
    const auto count = static_cast<std::int64_t>(request.tokens.size());
    const auto windows = windows_of(count, request.window, request.stride);
    std::int64_t total = 0;
    for (const Window& window : windows) {
        total += window.end - 1 - window.begin;
    }
    Evaluation out;
    out.windows = static_cast<std::int64_t>(windows.size());
    out.window = request.window;
    out.stride = request.stride;
    const auto start = std::chrono::steady_clock::now();
    Reader reader(opened, std::min(request.window, count) - 1, params, cancel);
    for (const Window& window : windows) {
        out.nll += reader.run(request.tokens, window, [&](std::int64_t rows) {
            out.rows += rows;
            if (progress) {
                progress(static_cast<double>(out.rows), static_cast<double>(total), "evaluating");
            }
        });
        out.tokens += window.end - window.first;
    }
    out.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return out;
}

} // namespace ergo
