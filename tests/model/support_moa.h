// SPDX-License-Identifier: GPL-3.0-or-later
// Shared by the MoA tests: the reference's self-check cases, their checkpoints and comparisons.
#pragma once

#include "engine/backend/backend.h"
#include "engine/lab/synth.h"
#include "engine/model/model.h"
#include "engine/tensor/npy.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

namespace moa_test {

using Json = nlohmann::json;

inline std::filesystem::path data(const std::string& name) {
    return std::filesystem::path(ERGO_TEST_DATA) / "moa" / name;
}

/// Configurations and knobs of the reference's self-check, in its order.
inline const Json& cases() {
    static const Json all = Json::parse(std::ifstream(data("cases.json")));
    return all;
}

inline std::string numbered(const std::string& prefix, std::size_t i, const std::string& suffix) {
    return prefix + (i < 10 ? "0" : "") + std::to_string(i) + suffix;
}

inline ergo::SynthRequest request_for(const Json& each) {
    ergo::SynthRequest request;
    request.config = each["config"].dump();
    request.preset = each["preset"];
    for (const auto& [name, value] : each["semantics"].items()) {
        request.knobs[name] = value.dump();
    }
    request.seed = 7;
    return request;
}

/// Cases of knobs.json and random.json (made by generate.py).
inline Json read_cases(const std::string& name) {
    return Json::parse(std::ifstream(data(name)));
}

/// The stored weights of such a case: its knobs over the preset, before `knob` is set.
inline ergo::SynthRequest stored_request(const Json& each) {
    ergo::SynthRequest request;
    request.config = each["config"].dump();
    request.preset = each["preset"];
    for (const auto& [name, value] : each["stored"].items()) {
        request.knobs[name] = value.dump();
    }
    request.table_jitter = each["jitter"];
    request.seed = 7;
    return request;
}

/// Rows `rows` of logits [n, vocabulary].
inline std::vector<double> rows_of(const std::vector<double>& logits, const Json& each) {
    const std::size_t width = each["config"]["vocab_size"];
    std::vector<double> out;
    for (const std::size_t row : each["rows"].get<std::vector<std::size_t>>()) {
        out.insert(out.end(), logits.begin() + static_cast<std::ptrdiff_t>(row * width),
                   logits.begin() + static_cast<std::ptrdiff_t>((row + 1) * width));
    }
    return out;
}

inline std::string three_digits(std::size_t i) {
    const std::string digits = std::to_string(i);
    return std::string(3 - digits.size(), '0') + digits;
}

inline std::vector<std::int32_t> ints(const ergo::NpyArray& array) {
    std::vector<std::int32_t> out;
    for (const double value : array.to_doubles()) {
        out.push_back(static_cast<std::int32_t>(value));
    }
    return out;
}

struct Difference {
    double largest = 0, scale = 0; ///< max |a - b|, max |b|
    double relative() const { return largest / std::max(scale, 1e-12); }
};

/// NaN counts as an infinite difference.
inline Difference compare(const std::vector<double>& got, const std::vector<double>& want) {
    Difference out;
    if (got.size() != want.size()) {
        out.largest = INFINITY;
        return out;
    }
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double d = std::abs(got[i] - want[i]);
        out.largest = std::isnan(d) ? INFINITY : std::max(out.largest, d);
        out.scale = std::max(out.scale, std::abs(want[i]));
    }
    return out;
}

/// Prompt plans that make the last row's logits alone, against plans that make every row's: logits after each
/// chunk of 7, and the whole state at the end, bit for bit. Empty when they agree, else a sentence.
inline std::string tail_difference(const ergo::Model& model, ergo::Backend& backend,
                                   const std::vector<std::int32_t>& tokens,
                                   const std::vector<ergo::Subscription>& subscriptions) {
    const auto loaded = backend.load(model.tables(), {}, {});
    const auto some = loaded->create_executor(64), all = loaded->create_executor(64);
    const ergo::ModelPlan last = model.build({7, false, subscriptions}), every = model.build({7, true, {}});
    const auto some_program = some->prepare(last.plan), all_program = all->prepare(every.plan);
    const auto count = static_cast<std::int64_t>(tokens.size()), width = model.info().vocabulary;
    for (std::int64_t at = 0; at < count; at += 7) {
        const std::int64_t rows = std::min<std::int64_t>(7, count - at);
        const ergo::StepState step{at, {tokens.begin() + at, tokens.begin() + at + rows}};
        some->run(*some_program, step, {});
        all->run(*all_program, step, {});
        const auto got = some->read(*some_program, last.plan->logits);
        const auto want =
            all->read(*all_program, every.plan->logits).subspan(static_cast<std::size_t>((rows - 1) * width));
        const double error = compare({got.begin(), got.end()}, {want.begin(), want.end()}).relative();
        if (!(error <= 1e-5)) {
            return "logits at " + std::to_string(at + rows - 1) + " differ by " + std::to_string(error);
        }
    }
    return some->export_state(count).states == all->export_state(count).states ? "" : "the states differ";
}

/// The head's observables that `random` draws, and now and then all of one site.
template <class Random>
std::vector<ergo::Subscription> head_subscriptions(const ergo::Model& model, Random& random) {
    std::vector<ergo::Subscription> out;
    for (std::size_t i = 0; i < model.observables().size(); ++i) {
        const ergo::Observable& each = model.observables()[i];
        const bool captured =
            each.source == ergo::ObservableSource::buffer || each.source == ergo::ObservableSource::pair_row;
        if (captured && each.name.starts_with("lm_head.") && random() % 4 == 0) {
            out.push_back({static_cast<std::int32_t>(i), {}});
        }
    }
    return out;
}

} // namespace moa_test
