// SPDX-License-Identifier: GPL-3.0-or-later
// Attention as MoA specification §6.5 has it, one row and one head at a time.
#include "engine/backend/reference/reference_ops.h"

#include <algorithm>
#include <cmath>

namespace ergo::reference {

namespace {

constexpr std::size_t largest = 8; // weights in RowRequest::top_weights

std::size_t ball_of(std::size_t head, std::size_t balls) {
    return balls == 1 ? 0 : head;
}

// Is candidate j inside the ball of `head`? Soft balls mask nothing.
struct BallTest {
    const Ball& ball;
    const AttentionInput& in;
    std::size_t head, balls;

    float radius() const { return in.radius[ball_of(head, in.radius.size())]; }
    float key_distance(std::size_t j) const { return in.distances[j * balls + ball_of(head, balls)]; }
    float query_distance() const { return in.query_distance[head]; }

    bool inside(std::size_t j) const {
        return ball.mode != Ball::Mode::hard ||
               (key_distance(j) <= radius() &&
                (ball.test != Ball::Test::pairs || query_distance() <= radius()));
    }
    float penalty(std::size_t j) const {
        if (ball.mode != Ball::Mode::soft) {
            return 0;
        }
        float outside = std::max(key_distance(j) - radius(), 0.0f);
        if (ball.test == Ball::Test::pairs) {
            outside += std::max(query_distance() - radius(), 0.0f);
        }
        return ball.softness * outside;
    }
};

std::vector<bool> kept_keys(const Attention& op, const BallTest& test, std::int64_t t, std::size_t keys) {
    std::vector<bool> candidate(keys, false), kept(keys, false);
    bool any = false;
    for (std::size_t j = 0; j < keys; ++j) {
        const std::int64_t lag = t - static_cast<std::int64_t>(j);
        candidate[j] = lag >= 0 && (op.window == 0 || lag < op.window);
        kept[j] = candidate[j] && test.inside(j);
        any = any || kept[j];
    }
    if (any || op.ball.fallback == Ball::Fallback::zero) {
        return kept;
    }
    if (op.ball.fallback == Ball::Fallback::unpruned) {
        return candidate;
    }
    kept[static_cast<std::size_t>(t)] = true;
    return kept;
}

void largest_weights(In weights, const std::vector<bool>& kept, Out keys, Out values) {
    std::vector<bool> taken(weights.size(), false);
    for (std::size_t i = 0; i < largest; ++i) {
        std::size_t best = weights.size();
        for (std::size_t j = 0; j < weights.size(); ++j) {
            if (kept[j] && !taken[j] && (best == weights.size() || weights[j] > weights[best])) {
                best = j;
            }
        }
        const bool found = best < weights.size();
        keys[i] = found ? static_cast<float>(best) : -1;
        values[i] = found ? weights[best] : 0;
        if (found) {
            taken[best] = true;
        }
    }
}

struct Softmax {
    std::vector<float> weights; // [keys], 0 where not kept
    float maximum = 0, sum = 0, kept = 0, entropy = 0;
};

Softmax softmax(In logits, const std::vector<bool>& kept) {
    Softmax s;
    s.weights.assign(logits.size(), 0);
    float top = -INFINITY;
    for (std::size_t j = 0; j < logits.size(); ++j) {
        if (kept[j]) {
            top = std::max(top, logits[j]);
            s.kept += 1;
        }
    }
    s.maximum = std::isfinite(top) ? top : 0;
    float weighted = 0; // sum of e * (logit - maximum)
    for (std::size_t j = 0; j < logits.size(); ++j) {
        if (kept[j]) {
            const float below = logits[j] - s.maximum;
            s.weights[j] = std::exp(below);
            s.sum += s.weights[j];
            weighted += s.weights[j] > 0 ? s.weights[j] * below : 0;
        }
    }
    if (s.sum == 0) {
        return s; // nothing kept: all weights stay 0
    }
    s.entropy = std::log(s.sum) - weighted / s.sum;
    for (float& w : s.weights) {
        w /= s.sum;
    }
    return s;
}

// Where head h stands among the rows asked for.
std::vector<std::size_t> row_slots(const RowRequest& rows, std::size_t head) {
    std::vector<std::size_t> slots;
    for (std::size_t i = 0; i < rows.heads.size(); ++i) {
        if (rows.heads[i] == static_cast<std::int32_t>(head)) {
            slots.push_back(i);
        }
    }
    if (rows.heads.empty()) {
        slots.push_back(head);
    }
    return slots;
}

/// The pull of a mass over a squared distance of -score. (Gravity-2 specification §7.1)
float gravity(const Gravity& law, float mass, float score) {
    return (law.squared ? mass * mass : mass) / (law.softening - law.distance_scale * score);
}

void write_scalars(const Softmax& s, std::size_t h, const AttentionOutput& out) {
    for (const auto& [span, value] : {std::pair{out.maximum, s.maximum},
                                      {out.sum, s.sum},
                                      {out.kept, s.kept},
                                      {out.entropy, s.entropy}}) {
        if (!span.empty()) {
            span[h] = value;
        }
    }
}

} // namespace

float score(const Attention& op, In query, In key, In root_diagonal) {
    float dot = 0, query2 = 0, key2 = 0, difference2 = 0;
    for (std::size_t c = 0; c < query.size(); ++c) {
        const float scale = root_diagonal.empty() ? 1 : root_diagonal[c];
        const float q = query[c] * scale, k = key[c] * scale;
        dot += q * k;
        query2 += q * q;
        key2 += k * k;
        difference2 += (q - k) * (q - k);
    }
    const float expanded = query2 + key2 - 2 * dot;
    switch (op.score) {
    case Attention::Score::dot:
        return dot;
    case Attention::Score::cosine:
        return dot / (std::max(std::sqrt(query2), 1e-6f) * std::max(std::sqrt(key2), 1e-6f));
    case Attention::Score::gravity:
        return op.gravity.clamp ? -difference2 : -expanded;
    case Attention::Score::negative_squared_distance:
        break;
    }
    return op.direct ? -difference2 : -std::max(expanded, 0.0f);
}

void attention(const Attention& op, const AttentionInput& in, const AttentionOutput& out) {
    const auto heads = static_cast<std::size_t>(op.heads), keys = static_cast<std::size_t>(in.keys);
    const auto dim = static_cast<std::size_t>(op.dim), value_dim = static_cast<std::size_t>(op.value_dim);
    const auto key_heads = static_cast<std::size_t>(op.key_heads);
    const auto value_heads = static_cast<std::size_t>(op.value_heads);
    std::vector<float> scores(keys), logits(keys), root(in.diagonal.empty() ? 0 : dim);
    for (std::size_t h = 0; h < heads; ++h) {
        for (std::size_t c = 0; c < root.size(); ++c) {
            root[c] = std::sqrt(std::max(in.diagonal[in.diagonal.size() == dim ? c : h * dim + c], 0.0f));
        }
        const BallTest test{op.ball, in, h, in.distances.size() / keys};
        const std::vector<bool> kept = kept_keys(op, test, in.t, keys);
        const std::size_t key_head = h * key_heads / heads, value_head = h * value_heads / heads;
        for (std::size_t j = 0; j < keys; ++j) {
            const In key = in.key_state.subspan((j * key_heads + key_head) * dim, dim);
            scores[j] = score(op, in.query.subspan(h * dim, dim), key, root);
            const float pull = op.score == Attention::Score::gravity
                                   ? gravity(op.gravity, in.mass[h], scores[j])
                                   : scores[j];
            logits[j] = (in.alpha.empty() ? 1 : in.alpha[h]) * pull * op.scale - test.penalty(j);
        }
        const Softmax s = softmax(logits, kept);
        for (std::size_t c = 0; c < value_dim; ++c) {
            float sum = 0;
            for (std::size_t j = 0; j < keys; ++j) {
                if (kept[j]) {
                    sum += s.weights[j] * in.value_state[(j * value_heads + value_head) * value_dim + c];
                }
            }
            const float mask = in.mask.empty() ? 1 : in.mask[h];
            out.out[h * value_dim + c] = mask == 0 ? 0 : sum * mask;
        }
        write_scalars(s, h, out);
        if (!out.top_keys.empty()) {
            largest_weights(s.weights, kept, out.top_keys.subspan(h * largest, largest),
                            out.top_weights.subspan(h * largest, largest));
        }
        for (const std::size_t slot : row_slots(op.rows, h)) {
            for (std::size_t j = 0; j < keys; ++j) {
                if (!out.logits.empty()) {
                    out.logits[slot * keys + j] = kept[j] ? logits[j] : -INFINITY;
                }
                if (!out.scores.empty()) {
                    out.scores[slot * keys + j] = scores[j];
                }
            }
        }
    }
}

void kept_share(const KeptShare& op, In distances, In radius, std::int64_t t, Out out) {
    const std::size_t heads = out.size();
    const std::int64_t first = op.window == 0 ? 0 : std::max<std::int64_t>(0, t - op.window + 1);
    const std::size_t balls = distances.size() / static_cast<std::size_t>(t + 1);
    for (std::size_t h = 0; h < heads; ++h) {
        const float r = radius[ball_of(h, radius.size())];
        std::int64_t kept = 0;
        for (std::int64_t j = first; j <= t; ++j) {
            kept += distances[static_cast<std::size_t>(j) * balls + ball_of(h, balls)] <= r;
        }
        const std::int64_t candidates = t - first + 1;
        if (kept == 0 && op.ball.fallback != Ball::Fallback::zero) {
            kept = op.ball.fallback == Ball::Fallback::unpruned ? candidates : 1;
        }
        out[h] = static_cast<float>(kept) / static_cast<float>(candidates);
    }
}

} // namespace ergo::reference
