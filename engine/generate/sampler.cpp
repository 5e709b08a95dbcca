// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/sampler.h"

#include "engine/base/error.h"
#include "engine/generate/chances.h"

#include <algorithm>
#include <limits>
#include <set>

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

/// The parts that `given` comes with, or `own` if those are missing or of another temperature.
std::span<const LogitPart> parts_at(const SummedLogits& given, float temperature,
                                    std::vector<LogitPart>& own) {
    const bool there = static_cast<std::int64_t>(given.parts.size()) ==
                       logit_parts(static_cast<std::int64_t>(given.logits.size()));
    if (there && given.temperature == temperature) {
        return given.parts;
    }
    own = sum_parts(given.logits, temperature);
    return own;
}

std::vector<TokenChance> likeliest(const Chances& plain, std::size_t count) {
    std::vector<TokenChance> out;
    for (const std::int32_t id : plain.largest(count)) {
        out.push_back({id, static_cast<float>(plain.probability(id))});
    }
    return out;
}

/// Logits with recent tokens made less likely; their parts are added up again.
class Penalised {
  public:
    Penalised(std::span<const float> logits, std::span<const LogitPart> parts,
              std::span<const std::int32_t> history, const SamplingParams& params, float temperature)
        : logits_(logits.begin(), logits.end()), parts_(parts.begin(), parts.end()) {
        const auto window =
            std::min<std::size_t>(history.size(), static_cast<std::size_t>(params.repeat_window));
        const auto recent = history.last(window);
        const auto penalty = static_cast<float>(params.repeat_penalty);
        std::set<std::size_t> changed;
        for (const std::int32_t id : std::set<std::int32_t>(recent.begin(), recent.end())) {
            if (id >= 0 && static_cast<std::size_t>(id) < logits_.size()) {
                float& l = logits_[static_cast<std::size_t>(id)];
                l = l > 0 ? l / penalty : l * penalty;
                changed.insert(static_cast<std::size_t>(id) / logits_a_part);
            }
        }
        for (const std::size_t part : changed) {
            const std::size_t from = part * logits_a_part;
            const std::size_t count = std::min<std::size_t>(logits_a_part, logits_.size() - from);
            parts_[part] = sum_part(std::span(logits_).subspan(from, count), temperature);
        }
    }
    std::span<const float> logits() const { return logits_; }
    std::span<const LogitPart> parts() const { return parts_; }

  private:
    std::vector<float> logits_;
    std::vector<LogitPart> parts_;
};

/// What top-k, min-p and top-p leave, at least one.
Chances::Bound cut(const Chances& chances, const SamplingParams& params) {
    Chances::Bound bound;
    if (params.top_k > 0 && params.top_k < chances.vocabulary()) {
        bound = bound & chances.first(static_cast<std::size_t>(params.top_k));
    }
    if (params.min_p > 0) {
        bound = bound & chances.not_below(params.min_p);
    }
    if (params.top_p < 1) {
        bound = bound & chances.holding(params.top_p);
    }
    return bound;
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

// A temperature too small for a float is still not greedy.
float Sampler::temperature() const {
    const auto rounded = static_cast<float>(params_.temperature);
    return params_.temperature > 0 ? std::max(rounded, std::numeric_limits<float>::min()) : 0;
}

Choice Sampler::take(std::int32_t id, const SummedLogits& given, std::size_t alternatives) {
    const std::size_t vocabulary = given.logits.size();
    if (id < 0 || static_cast<std::size_t>(id) >= vocabulary) {
        throw Error(ErrorKind::usage, "Token " + std::to_string(id) +
                                          " cannot be taken: the vocabulary has " +
                                          std::to_string(vocabulary) + " tokens.");
    }
    std::vector<LogitPart> own;
    const Chances plain(given.logits, parts_at(given, temperature(), own), 1, false);
    draw();
    return {id, static_cast<float>(plain.probability(id)), likeliest(plain, alternatives)};
}

Choice Sampler::choose(const SummedLogits& given, std::span<const std::int32_t> history,
                       std::size_t alternatives) {
    std::vector<LogitPart> own;
    const std::span<const LogitPart> parts = parts_at(given, temperature(), own);
    const Chances plain(given.logits, parts, 1, false);
    Choice choice;
    choice.alternatives = likeliest(plain, alternatives);
    if (params_.repeat_penalty == 1 || params_.repeat_window <= 0) {
        choice.id = pick(given.logits, parts);
    } else {
        const Penalised less(given.logits, parts, history, params_, temperature());
        choice.id = pick(less.logits(), less.parts());
    }
    choice.probability = static_cast<float>(plain.probability(choice.id));
    return choice;
}

std::int32_t Sampler::pick(std::span<const float> logits, std::span<const LogitPart> parts) {
    if (params_.temperature == 0) {
        return Chances(logits, parts, 1, false).largest(1).front();
    }
    const Chances chances(logits, parts, temperature(), true);
    // 53 random bits, the same on every standard library (std distributions are not)
    const double share = static_cast<double>(draw()) * 0x1p-53;
    const bool all = params_.top_k == 0 && params_.top_p == 1 && params_.min_p == 0;
    return all ? chances.at(share) : chances.at(share, cut(chances, params_));
}

} // namespace ergo
