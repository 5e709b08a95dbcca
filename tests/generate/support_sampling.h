// SPDX-License-Identifier: GPL-3.0-or-later
// Sampling as its parameters are defined, by passes over the whole vocabulary in double.
#pragma once

#include "engine/generate/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace ergo::test {

/// Logits of awkward shapes: about normal, some equal, some not finite.
inline std::vector<float> random_logits(std::size_t vocabulary, double spread, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::vector<float> logits(vocabulary);
    for (std::size_t i = 0; i < vocabulary; ++i) { // about normal, the same on every library
        double sum = 0;
        for (int k = 0; k < 6; ++k) {
            sum += static_cast<double>(random() >> 11) * 0x1p-53 - 0.5;
        }
        logits[i] = static_cast<float>(spread * sum);
        if (i % 11 == 5 && i + 1 < vocabulary) {
            logits[i] = i % 2 == 0 ? -std::numeric_limits<float>::infinity() : std::nanf("");
        } else if (i % 13 == 4 && i > 0) {
            logits[i] = logits[i - 1]; // equal neighbours
        }
    }
    return logits;
}

/// The distribution by one pass in double.
inline std::vector<double> softmax(const std::vector<float>& logits, double temperature) {
    double top = -INFINITY, total = 0;
    for (const float l : logits) {
        top = std::isfinite(l) ? std::max(top, static_cast<double>(l)) : top;
    }
    std::vector<double> p;
    for (const float l : logits) {
        p.push_back(std::isfinite(l) ? std::exp((static_cast<double>(l) - top) / temperature) : 0);
        total += p.back();
    }
    for (double& x : p) {
        x /= total;
    }
    return p;
}

/// All ids with a chance, likeliest first.
inline std::vector<std::int32_t> ordered(const std::vector<float>& logits) {
    std::vector<std::int32_t> ids;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        if (std::isfinite(logits[i])) {
            ids.push_back(static_cast<std::int32_t>(i));
        }
    }
    std::stable_sort(ids.begin(), ids.end(), [&](std::int32_t a, std::int32_t b) {
        return logits[static_cast<std::size_t>(a)] > logits[static_cast<std::size_t>(b)];
    });
    return ids;
}

/// What the definition of the parameters says, without any haste.
inline std::int32_t plain_choice(std::vector<float> logits, const SamplingParams& params,
                                 const std::vector<std::int32_t>& history, std::mt19937_64& random) {
    const std::size_t window = std::min<std::size_t>(history.size(), params.repeat_window);
    std::vector<std::int32_t> recent(history.end() - static_cast<std::ptrdiff_t>(window), history.end());
    std::sort(recent.begin(), recent.end());
    recent.erase(std::unique(recent.begin(), recent.end()), recent.end());
    for (const std::int32_t id : recent) {
        float& l = logits[static_cast<std::size_t>(id)];
        l = l > 0 ? l / static_cast<float>(params.repeat_penalty)
                  : l * static_cast<float>(params.repeat_penalty);
    }
    std::vector<std::int32_t> order = ordered(logits);
    if (params.temperature == 0) {
        return order.front();
    }
    const std::vector<double> p = softmax(logits, params.temperature);
    const auto chance = [&](std::int32_t id) { return p[static_cast<std::size_t>(id)]; };
    std::size_t count = params.top_k > 0 ? std::min<std::size_t>(order.size(), params.top_k) : order.size();
    double sum = 0;
    for (std::size_t i = 0; i < count; sum += chance(order[i++])) {
        if (i > 0 && (chance(order[i]) < params.min_p * chance(order[0]) || sum >= params.top_p)) {
            count = i;
            break;
        }
    }
    order.resize(count);
    std::sort(order.begin(), order.end());
    double total = 0;
    for (const std::int32_t id : order) {
        total += chance(id);
    }
    double left = static_cast<double>(random() >> 11) * 0x1p-53 * total;
    std::int32_t found = order.front();
    for (const std::int32_t id : order) {
        if (chance(id) > 0) {
            found = id;
            if (left < chance(id)) {
                break;
            }
            left -= chance(id);
        }
    }
    return found;
}

} // namespace ergo::test
