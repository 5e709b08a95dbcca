// SPDX-License-Identifier: GPL-3.0-or-later
// Shared by the Kotodama tests: the reference's cases, their checkpoints and comparisons.
#pragma once

#include "engine/checkpoint/safetensors.h"
#include "engine/lab/synth.h"
#include "engine/model/model.h"
#include "engine/tensor/npy.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace kotodama_test {

using Json = nlohmann::json;

inline std::filesystem::path data(const std::string& name) {
    return std::filesystem::path(ERGO_TEST_DATA) / "kotodama" / name;
}

inline const Json& cases() {
    static const Json all = Json::parse(std::ifstream(data("cases.json")));
    return all;
}

inline const std::map<std::string, ergo::NpyArray>& arrays() {
    static const auto all = ergo::read_npz(data("cases.npz"));
    return all;
}

/// "case03.depth07"
inline std::string named(std::size_t i, const std::string& what, int number = -1) {
    const auto two = [](std::size_t n) { return (n < 10 ? "0" : "") + std::to_string(n); };
    return "case" + two(i) + "." + what + (number < 0 ? "" : two(static_cast<std::size_t>(number)));
}

inline std::vector<double> expected(std::size_t i, const std::string& what, int number = -1) {
    return arrays().at(named(i, what, number)).to_doubles();
}

/// With seed 0 the weights are those of specification appendix B.
inline ergo::Synthetic weights_of(const Json& config, ergo::DType dtype = ergo::DType::f32) {
    ergo::SynthRequest request;
    request.config = config.dump();
    request.seed = 0;
    request.dtype = dtype;
    return ergo::synthesise(request);
}

inline void write(const std::filesystem::path& folder, const ergo::Synthetic& made, bool with_config = true) {
    if (with_config) {
        std::ofstream(folder / "config.json") << made.config;
    }
    ergo::write_safetensors(folder / "model.safetensors", made.tensors);
}

inline std::vector<std::int32_t> tokens_of(std::size_t i) {
    return cases()[i]["tokens"].get<std::vector<std::int32_t>>();
}

inline std::vector<std::size_t> rows_of(std::size_t i) {
    return cases()[i]["rows"].get<std::vector<std::size_t>>();
}

/// Rows of [.., n, width] in each of `blocks` leading blocks.
inline std::vector<double> pick(const std::vector<double>& all, const std::vector<std::size_t>& rows,
                                std::size_t n, std::size_t blocks = 1) {
    const std::size_t width = all.size() / (n * blocks);
    std::vector<double> out;
    for (std::size_t b = 0; b < blocks; ++b) {
        for (const std::size_t r : rows) {
            const auto from = all.begin() + static_cast<std::ptrdiff_t>((b * n + r) * width);
            out.insert(out.end(), from, from + static_cast<std::ptrdiff_t>(width));
        }
    }
    return out;
}

/// Largest difference over largest magnitude; a NaN or another size is infinitely different.
inline double relative(const std::vector<double>& got, const std::vector<double>& want) {
    if (got.size() != want.size()) {
        return INFINITY;
    }
    double difference = 0, scale = 1e-12;
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double d = std::abs(got[i] - want[i]);
        difference = std::isnan(d) ? INFINITY : std::max(difference, d);
        scale = std::max(scale, std::abs(want[i]));
    }
    return difference / scale;
}

} // namespace kotodama_test
