// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/value_fingerprint.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

namespace ergo {

ValueFingerprint::ValueFingerprint(const Tensor& tensor) {
    constexpr std::int64_t most_values = 65536;
    const std::int64_t count = std::min(tensor.size(), most_values);
    if (count == 0 || !is_float(tensor.dtype())) {
        return;
    }
    const std::size_t bytes = static_cast<std::size_t>(count) * dtype_size(tensor.dtype());
    const std::vector<float> values =
        Tensor(tensor.dtype(), {count}, tensor.bytes().first(bytes), nullptr).to_floats();
    known_ = std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
    first_ = values[0];
    least_ = *std::min_element(values.begin(), values.end());
    most_ = *std::max_element(values.begin(), values.end());
    falls_ = std::adjacent_find(values.begin(), values.end(), std::less_equal<>()) == values.end();
    for (const float v : values) {
        mean_ += static_cast<double>(v) / static_cast<double>(count);
    }
    for (const float v : values) {
        deviation_ += (v - mean_) * (v - mean_) / static_cast<double>(count);
    }
    deviation_ = std::sqrt(deviation_);
}

double ValueFingerprint::near(double value, double width) const {
    return 2 * std::exp(-std::abs(mean_ - value) / width) - 1;
}

double ValueFingerprint::fits(const std::string& role, const moa::Config& config) const {
    const std::string leaf = role.substr(role.rfind('.') + 1);
    if (!known_) {
        return 0;
    }
    const bool positive_map = leaf == "alpha" || leaf == "radius" || leaf == "m";
    if (positive_map) {
        const double initial = leaf == "alpha"    ? config.alpha_init
                               : leaf == "radius" ? config.radius_init
                                                  : config.maha_init;
        double best = -1;
        for (const double stored :
             {initial, std::log(initial), std::log(std::expm1(initial)), std::sqrt(initial)}) {
            best = std::isfinite(stored) ? std::max(best, near(stored, 0.5 * std::abs(initial) + 0.1)) : best;
        }
        return best;
    }
    if (leaf == "inv_freq") { // begins with 1 and falls
        return falls_ && std::abs(first_ - 1) < 1e-3 ? 1 : -1;
    }
    if (leaf == "cos_cached") { // rotary tables lie in -1 … 1; a cosine begins near 1, a sine near 0
        return least_ >= -1.001 && most_ <= 1.001 && first_ > 0.3 ? 1 : -1;
    }
    if (leaf == "sin_cached") {
        return least_ >= -1.001 && most_ <= 1.001 && std::abs(first_) < 0.95 && least_ < -0.3 ? 0.5 : -1;
    }
    if (leaf == "gain_cached") {
        return least_ >= 0 && near(1, 0.5) > 0 ? 1 : -1;
    }
    if (leaf == "origin") {
        return near(0, 0.5);
    }
    if (leaf == "ls" || leaf == "ffn_ls") {
        return near(config.layer_scale_init_value, config.layer_scale_init_value + 0.2);
    }
    if (role.find("norm") != std::string::npos) {
        return leaf == "weight" ? near(1, 0.5) : near(0, 0.3);
    }
    if (leaf == "bias") {
        return 0.5 * near(0, 0.3);
    }
    return 0;
}

MapGuess guess_map(double stored, double initial, double spread) {
    const std::pair<const char*, std::function<double(double)>> maps[] = {
        {"raw", [](double x) { return x; }},
        {"exp", [](double x) { return std::exp(x); }},
        {"softplus", [](double x) { return x > 30 ? x : std::log1p(std::exp(x)); }},
        {"square", [](double x) { return x * x; }},
    };
    MapGuess guess;
    double best = std::numeric_limits<double>::infinity(), second = best;
    for (const auto& [name, map] : maps) {
        const double off = std::abs(map(stored) - initial) / std::max(1e-6, std::abs(initial));
        if (off < best) {
            second = best;
            best = off;
            guess.map = name;
        } else {
            second = std::min(second, off);
        }
    }
    guess.sure = best < 0.03 && second > 0.2 && spread < 0.1 * std::max(std::abs(stored), 0.1);
    return guess;
}

} // namespace ergo
