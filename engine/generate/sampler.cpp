// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/sampler.h"

#include "engine/base/error.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_set>

namespace ergo {

namespace {

void require(bool ok, const std::string& sentence) {
    if (!ok) {
        throw Error(ErrorKind::usage, sentence);
    }
}

std::string number(double value) {
    std::string text = std::to_string(value);
    text.erase(text.find_last_not_of('0') + 1);
    return text.ends_with('.') ? text + "0" : text;
}

// Softmax in double: the order of summation is fixed, so the same logits always give the same numbers.
std::vector<double> softmax(std::span<const float> logits, double temperature) {
    double top = -INFINITY;
    for (const float l : logits) {
        if (std::isfinite(l)) {
            top = std::max(top, static_cast<double>(l));
        }
    }
    if (!std::isfinite(top)) {
        throw Error(
            ErrorKind::mismatch,
            "The model's output has no finite number; its weights or a changed parameter make no sense.");
    }
    std::vector<double> p(logits.size());
    double total = 0;
    for (std::size_t i = 0; i < p.size(); ++i) {
        p[i] =
            std::isfinite(logits[i]) ? std::exp((static_cast<double>(logits[i]) - top) / temperature) : 0.0;
        total += p[i];
    }
    for (double& x : p) {
        x /= total;
    }
    return p;
}

// The `count` largest, largest first; equal values: lower id first.
std::vector<std::int32_t> largest(std::span<const double> p, std::size_t count) {
    std::vector<std::int32_t> order(p.size());
    std::iota(order.begin(), order.end(), 0);
    count = std::min(count, order.size());
    const auto before = [&p](std::int32_t a, std::int32_t b) {
        return p[static_cast<std::size_t>(a)] != p[static_cast<std::size_t>(b)]
                   ? p[static_cast<std::size_t>(a)] > p[static_cast<std::size_t>(b)]
                   : a < b;
    };
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(), before);
    order.resize(count);
    return order;
}

std::vector<TokenChance> likeliest(std::span<const double> p, std::size_t count) {
    std::vector<TokenChance> out;
    for (const std::int32_t id : largest(p, count)) {
        out.push_back({id, static_cast<float>(p[static_cast<std::size_t>(id)])});
    }
    return out;
}

void penalise(std::vector<float>& logits, std::span<const std::int32_t> history,
              const SamplingParams& params) {
    if (params.repeat_penalty == 1 || params.repeat_window <= 0) {
        return;
    }
    const auto window = std::min<std::size_t>(history.size(), static_cast<std::size_t>(params.repeat_window));
    const auto recent = history.last(window);
    const auto penalty = static_cast<float>(params.repeat_penalty);
    for (const std::int32_t id : std::unordered_set<std::int32_t>(recent.begin(), recent.end())) {
        if (id >= 0 && static_cast<std::size_t>(id) < logits.size()) {
            float& l = logits[static_cast<std::size_t>(id)];
            l = l > 0 ? l / penalty : l * penalty;
        }
    }
}

// How many of the probabilities, largest first, survive top-k, min-p and top-p (at least one).
std::size_t surviving(std::span<const std::int32_t> order, std::span<const double> p,
                      const SamplingParams& params) {
    const auto at = [&](std::size_t i) { return p[static_cast<std::size_t>(order[i])]; };
    std::size_t count = order.size();
    if (params.top_k > 0) {
        count = std::min(count, static_cast<std::size_t>(params.top_k));
    }
    double sum = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (i > 0 && (at(i) < params.min_p * at(0) || sum >= params.top_p)) {
            return i;
        }
        sum += at(i);
    }
    return count;
}

} // namespace

void validate(const SamplingParams& p) {
    require(p.temperature >= 0 && p.temperature <= 100,
            "Temperature is " + number(p.temperature) + "; it must lie between 0 (greedy) and 100.");
    require(p.top_k >= 0, "Top-k is " + std::to_string(p.top_k) + "; it must be 0 (off) or more.");
    require(p.top_p > 0 && p.top_p <= 1,
            "Top-p is " + number(p.top_p) + "; it must lie above 0 and at most at 1 (off).");
    require(p.min_p >= 0 && p.min_p < 1,
            "Min-p is " + number(p.min_p) + "; it must lie from 0 (off) to below 1.");
    require(p.repeat_penalty > 0 && p.repeat_penalty <= 10,
            "Repeat penalty is " + number(p.repeat_penalty) +
                "; it must lie above 0 and at most at 10 (1 is off).");
}

std::vector<SamplingPreset> sampling_presets(const std::string& family) {
    const SamplingPreset exact{
        "Exact", "Greedy: the same answer every time; right for equations and for measuring.", {}};
    SamplingPreset lively{"Lively", "Pure temperature 0.8, nothing cut.", {}};
    lively.params.temperature = 0.8;
    if (family == "moa") {
        lively.reason = "Temperature 0.8 with top-p 0.95; the MoA cards advise to stay at 1.2 or below.";
        lively.params.top_p = 0.95;
        return {exact, lively};
    }
    if (family == "kotodama") {
        SamplingPreset plain{
            "Pure temperature",
            "Temperature 0.7 and nothing cut: the card warns that top-p ruins a model this small.",
            {}};
        plain.params.temperature = 0.7;
        return {plain, exact};
    }
    return {lively, exact};
}

Sampler::Sampler(const SamplingParams& params) : params_(params), random_(params.seed) {
    validate(params);
}

Choice Sampler::take(std::int32_t id, std::span<const float> logits, std::size_t alternatives) {
    if (id < 0 || static_cast<std::size_t>(id) >= logits.size()) {
        throw Error(ErrorKind::usage, "Token " + std::to_string(id) +
                                          " cannot be taken: the vocabulary has " +
                                          std::to_string(logits.size()) + " tokens.");
    }
    const std::vector<double> plain = softmax(logits, 1.0);
    draw();
    return {id, static_cast<float>(plain[static_cast<std::size_t>(id)]), likeliest(plain, alternatives)};
}

Choice Sampler::choose(std::span<const float> logits, std::span<const std::int32_t> history,
                       std::size_t alternatives) {
    const std::vector<double> plain = softmax(logits, 1.0);
    Choice choice;
    choice.alternatives = likeliest(plain, alternatives);
    std::vector<float> adjusted(logits.begin(), logits.end());
    penalise(adjusted, history, params_);
    const std::vector<double> p = softmax(adjusted, params_.temperature > 0 ? params_.temperature : 1.0);
    if (params_.temperature == 0) {
        choice.id = largest(p, 1).front();
    } else {
        const bool cut = params_.top_k > 0 || params_.top_p < 1 || params_.min_p > 0;
        std::vector<std::int32_t> order(p.size());
        std::iota(order.begin(), order.end(), 0);
        if (cut) {
            order = largest(p, params_.top_k > 0 ? static_cast<std::size_t>(params_.top_k) : p.size());
            order.resize(surviving(order, p, params_));
        }
        double total = 0;
        for (const std::int32_t id : order) {
            total += p[static_cast<std::size_t>(id)];
        }
        // 53 random bits, the same on every standard library (std distributions are not)
        double left = static_cast<double>(draw()) * 0x1p-53 * total;
        choice.id = order.front();
        for (const std::int32_t id : order) {
            const double share = p[static_cast<std::size_t>(id)];
            if (share > 0) {
                choice.id = id;
                if (left < share) {
                    break;
                }
                left -= share;
            }
        }
    }
    choice.probability = static_cast<float>(plain[static_cast<std::size_t>(choice.id)]);
    return choice;
}

} // namespace ergo
