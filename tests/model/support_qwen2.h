// SPDX-License-Identifier: GPL-3.0-or-later
// Shared by the Qwen2 and gravity tests: the stored cases, their checkpoints, comparisons.
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

namespace qwen2_test {

using Json = nlohmann::json;
namespace fs = std::filesystem;

inline const Json& cases() {
    static const Json all = Json::parse(std::ifstream(fs::path(ERGO_TEST_DATA) / "qwen2" / "cases.json"));
    return all;
}

inline const std::map<std::string, ergo::NpyArray>& vectors() {
    static const auto all = ergo::read_npz(fs::path(ERGO_TEST_DATA) / "qwen2" / "vectors.npz");
    return all;
}

inline bool has_vector(std::size_t i, const std::string& name) {
    return vectors().contains((i < 10 ? "case0" : "case") + std::to_string(i) + "." + name);
}

inline std::vector<double> expected(std::size_t i, const std::string& name) {
    return vectors().at((i < 10 ? "case0" : "case") + std::to_string(i) + "." + name).to_doubles();
}

inline std::vector<std::int32_t> tokens_of(std::size_t i) {
    std::vector<std::int32_t> out;
    for (const double id : expected(i, "tokens")) {
        out.push_back(static_cast<std::int32_t>(id));
    }
    return out;
}

inline void write_text(const fs::path& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
}

/// The case's checkpoint with its config.json as it is spelled; masses where `where` says ("": where the case
/// keeps them).
inline void write_case(const Json& each, const fs::path& folder, const std::string& where = {}) {
    ergo::SynthRequest request;
    request.config = each["config"].dump();
    request.knobs["masses"] = where.empty() ? each["masses"].get<std::string>() : where;
    request.seed = each["seed"];
    ergo::synth(request, folder);
    write_text(folder / "config.json", each["config"].dump());
}

inline ergo::OpenOptions options_of(const Json& each) {
    ergo::OpenOptions options;
    for (const auto& [knob, value] : each["knobs"].items()) {
        options.knobs[knob] = value.dump();
    }
    return options;
}

inline std::shared_ptr<const ergo::Model> open(const fs::path& folder,
                                               const ergo::OpenOptions& options = {}) {
    return ergo::open_model(ergo::Checkpoint::open(folder), options);
}

/// All tensors of a folder, to write another folder from.
inline std::vector<std::pair<std::string, ergo::Tensor>> tensors_in(const fs::path& folder) {
    const auto checkpoint = ergo::Checkpoint::open(folder);
    std::vector<std::pair<std::string, ergo::Tensor>> out;
    for (const std::string& name : checkpoint->order()) {
        const ergo::Tensor& tensor = checkpoint->tensor(name);
        out.emplace_back(name, ergo::Tensor::from_floats(tensor.shape(), tensor.to_floats()));
    }
    return out;
}

/// max |a - b| / max |b|; infinite for NaN or different sizes.
inline double relative(const std::vector<double>& got, const std::vector<double>& want) {
    double largest = 0, scale = 1e-12;
    for (std::size_t i = 0; i < got.size() && got.size() == want.size(); ++i) {
        const double d = std::abs(got[i] - want[i]);
        largest = std::isnan(d) ? INFINITY : std::max(largest, d);
        scale = std::max(scale, std::abs(want[i]));
    }
    return got.size() == want.size() ? largest / scale : INFINITY;
}

/// The rows of `all` [n, width] that the case stores.
inline std::vector<double> stored_rows(std::size_t i, const std::vector<double>& all, std::size_t tokens) {
    if (!has_vector(i, "rows")) {
        return all;
    }
    const std::size_t width = all.size() / tokens;
    std::vector<double> out;
    for (const double row : expected(i, "rows")) {
        const auto at = all.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(row) * width);
        out.insert(out.end(), at, at + static_cast<std::ptrdiff_t>(width));
    }
    return out;
}

} // namespace qwen2_test
