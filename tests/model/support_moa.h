// SPDX-License-Identifier: GPL-3.0-or-later
// Shared by the MoA tests: the reference's self-check cases, their checkpoints and comparisons.
#pragma once

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

} // namespace moa_test
