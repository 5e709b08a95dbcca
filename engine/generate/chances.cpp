// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/chances.h"

#include "engine/base/error.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

namespace ergo {

namespace {

struct LikelierThan {
    std::span<const float> logits;
    bool operator()(std::int32_t a, std::int32_t b) const {
        const float left = logits[static_cast<std::size_t>(a)], right = logits[static_cast<std::size_t>(b)];
        return left != right ? left > right : a < b;
    }
};

} // namespace

Chances::Chances(std::span<const float> logits, std::span<const LogitPart> parts, double temperature,
                 bool warm)
    : logits_(logits), parts_(parts), temperature_(temperature), top_(-INFINITY) {
    for (const LogitPart& part : parts) {
        top_ = std::max(top_, static_cast<double>(part.largest));
    }
    if (!std::isfinite(top_)) {
        throw Error(
            ErrorKind::mismatch,
            "The model's output has no finite number; its weights or a changed parameter make no sense.");
    }
    weights_.reserve(parts.size());
    for (const LogitPart& part : parts) {
        weights_.push_back((warm ? part.warm : part.sum) * weight(part.largest));
        total_ += weights_.back();
    }
}

double Chances::weight(double logit) const {
    return std::isfinite(logit) ? std::exp((logit - top_) / temperature_) : 0;
}

double Chances::probability(std::int32_t id) const {
    return weight(logits_[static_cast<std::size_t>(id)]) / total_;
}

/// body(id, logit) for the ids of a part.
template <class Body> void Chances::each_of(std::size_t part, const Body& body) const {
    const std::size_t from = part * logits_a_part, to = std::min(from + logits_a_part, logits_.size());
    for (std::size_t i = from; i < to; ++i) {
        body(i, logits_[i]);
    }
}

std::vector<std::int32_t> Chances::largest(std::size_t count) const {
    // As many parts as ids are wanted have a number of at least `least`, so ids below it are not among them.
    std::vector<float> tops;
    tops.reserve(parts_.size());
    for (const LogitPart& part : parts_) {
        tops.push_back(part.largest);
    }
    float least = -INFINITY;
    if (count > 0 && count <= tops.size()) {
        const auto nth = tops.begin() + static_cast<std::ptrdiff_t>(count) - 1;
        std::nth_element(tops.begin(), nth, tops.end(), std::greater<>());
        least = *nth;
    }
    std::vector<std::int32_t> ids;
    for (std::size_t p = 0; p < parts_.size(); ++p) {
        if (parts_[p].largest >= least) {
            each_of(p, [&](std::size_t i, float logit) {
                if (logit >= least && std::isfinite(logit)) {
                    ids.push_back(static_cast<std::int32_t>(i));
                }
            });
        }
    }
    count = std::min(count, ids.size());
    std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count), ids.end(),
                      LikelierThan{logits_});
    ids.resize(count);
    return ids;
}

Chances::Bound Chances::first(std::size_t count) const {
    const std::int32_t last = largest(count).back();
    return {logits_[static_cast<std::size_t>(last)], last};
}

Chances::Bound Chances::not_below(double share) const {
    return {static_cast<float>(top_ + temperature_ * std::log(share))};
}

Chances::Bound Chances::holding(double probability) const {
    const double wanted = probability * total_;
    for (const std::size_t few : {64U, 512U}) { // mostly enough
        double sum = 0;
        for (const std::int32_t id : largest(few)) {
            const float logit = logits_[static_cast<std::size_t>(id)];
            sum += weight(logit);
            if (sum >= wanted) {
                return {logit, id};
            }
        }
    }
    return holding_among_all(wanted);
}

// Logits are counted by how far they lie below the largest; only those that lie as far as the bound are
// sorted.
Chances::Bound Chances::holding_among_all(double wanted) const {
    constexpr std::size_t steps = 1024;
    constexpr double steps_a_nat = 64;
    const auto step_of = [this](float logit) {
        const double below = (top_ - logit) / temperature_ * steps_a_nat;
        return below < steps ? static_cast<std::size_t>(below) : steps;
    };
    std::vector<double> sums(steps + 1);
    for (std::size_t p = 0; p < parts_.size(); ++p) {
        each_of(p, [&](std::size_t, float logit) {
            if (std::isfinite(logit)) {
                sums[step_of(logit)] += weight(logit);
            }
        });
    }
    double sum = 0;
    std::size_t step = 0;
    while (step < steps && sum + sums[step] < wanted) {
        sum += sums[step++];
    }
    std::vector<std::int32_t> ids;
    for (std::size_t p = 0; p < parts_.size(); ++p) {
        each_of(p, [&](std::size_t i, float logit) {
            if (std::isfinite(logit) && step_of(logit) == step) {
                ids.push_back(static_cast<std::int32_t>(i));
            }
        });
    }
    std::sort(ids.begin(), ids.end(), LikelierThan{logits_});
    for (const std::int32_t id : ids) {
        const float logit = logits_[static_cast<std::size_t>(id)];
        sum += weight(logit);
        if (sum >= wanted) {
            return {logit, id};
        }
    }
    return {}; // but for rounding it would have been reached
}

std::int32_t Chances::at(double share) const {
    return drawn(share * total_, weights_, {});
}

std::int32_t Chances::at(double share, const Bound& bound) const {
    std::vector<double> weights;
    weights.reserve(parts_.size());
    for (std::size_t p = 0; p < parts_.size(); ++p) {
        weights.push_back(parts_[p].largest < bound.logit ? 0 : kept(p, bound));
    }
    return drawn(share * std::accumulate(weights.begin(), weights.end(), 0.0), weights, bound);
}

double Chances::kept(std::size_t part, const Bound& bound) const {
    double sum = 0;
    each_of(part, [&](std::size_t i, float logit) {
        if (bound.keeps(logit, i)) {
            sum += weight(logit);
        }
    });
    return sum;
}

/// Where `left` is used up, first by parts, then by ids. What rounding leaves over goes to the last one with
/// a chance.
std::int32_t Chances::drawn(double left, std::span<const double> weights, const Bound& bound) const {
    std::size_t part = 0;
    for (std::size_t p = 0; p < weights.size(); ++p) {
        if (weights[p] > 0) {
            part = p;
            if (left < weights[p]) {
                break;
            }
            left -= weights[p];
        }
    }
    std::int32_t found = 0;
    bool done = false;
    each_of(part, [&](std::size_t i, float logit) {
        const double share = !done && bound.keeps(logit, i) ? weight(logit) : 0;
        if (share > 0) {
            found = static_cast<std::int32_t>(i);
            done = left < share;
            left -= share;
        }
    });
    return found;
}

} // namespace ergo
