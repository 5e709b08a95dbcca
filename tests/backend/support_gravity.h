// SPDX-License-Identifier: GPL-3.0-or-later
// Gravity attentions of awkward shapes, with queries on, near and far from their keys, for every backend.
#pragma once

#include "tests/backend/support_plans.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace ergo::test {

struct GravityVariant {
    const char* name;
    int heads, key_heads, dim;
    float length; // of every key
    Gravity law{};
    float scale = 1;
    std::int64_t window = 0;
    std::vector<std::int32_t> rows{}; // heads of captured rows; empty: all
    float mass = 1.3f;
};

inline std::vector<GravityVariant> gravity_variants() {
    Gravity scaled, plain, unclamped;
    scaled.distance_scale = 0.35f;
    plain.squared = false;
    plain.softening = 0.01f;
    unclamped.clamp = false;
    unclamped.softening = 1; // softer than the rounding of the expanded form
    return {{"eight queries a key head", 16, 2, 12, 3},
            {"odd heads, one key head, odd width", 7, 1, 5, 1},
            {"length 500", 8, 1, 128, 500},
            {"window, some rows", 6, 3, 9, 2, {}, 1, 7, {5, 0, 5}},
            {"scaled distances", 4, 2, 8, 4, scaled, 1},
            {"scaled scores", 4, 4, 8, 4, {}, 0.35f},
            {"mass itself, small softening", 3, 3, 7, 1, plain},
            {"expanded, not clamped", 4, 1, 16, 2, unclamped},
            {"side by side", 32, 32, 8, 3},
            {"side by side, expanded", 16, 16, 6, 2, unclamped},
            {"exp would overflow without the running maximum", 4, 2, 8, 1, {}, 1, 0, {}, 9}};
}

/// One attention whose query heads are, in turn, the key of the same token, a point close to it, and
/// something else.
inline Attention add_gravity(Case& test, const GravityVariant& v) {
    const std::int64_t key_width = v.key_heads * v.dim, width = v.heads * v.dim;
    std::vector<float> keys = test.numbers(Case::vocabulary * key_width);
    for (std::int64_t i = 0; i < Case::vocabulary * v.key_heads; ++i) {
        double square = 0;
        float* key = keys.data() + i * v.dim;
        for (int c = 0; c < v.dim; ++c) {
            square += static_cast<double>(key[c]) * key[c];
        }
        for (int c = 0; c < v.dim; ++c) {
            key[c] *= v.length / static_cast<float>(std::sqrt(square));
        }
    }
    std::vector<float> queries = test.numbers(Case::vocabulary * width, v.length);
    for (std::int64_t token = 0; token < Case::vocabulary; ++token) {
        for (std::int64_t h = 0; h < v.heads; ++h) {
            const float* key = keys.data() + token * key_width + h * v.key_heads / v.heads * v.dim;
            float* query = queries.data() + token * width + h * v.dim;
            for (int c = 0; h % 3 != 2 && c < v.dim; ++c) {
                query[c] = key[c] + (h % 3 == 0 ? 0 : 0.05f * test.uniform());
            }
        }
    }
    const auto input = [&](std::int64_t columns, std::vector<float> values) {
        const BufferId out = test.buffer(columns);
        test.add(Embed{test.tables.add_weight(
                           "table", Tensor::from_floats({Case::vocabulary, columns}, std::move(values))),
                       out});
        return out;
    };
    AppendKeyValue append;
    append.key = input(key_width, std::move(keys));
    append.value = test.input(key_width);
    append.heads = append.heads_in = append.value_heads = v.key_heads;
    append.dim = append.value_dim = v.dim;
    const bool own = v.key_heads == v.heads;
    append.keys = test.state(key_width, {v.key_heads, v.dim, false, own});
    append.values = test.state(key_width, {v.key_heads, v.dim, true, own});
    test.add(append);
    Attention op;
    op.query = input(width, std::move(queries));
    op.keys = append.keys;
    op.values = append.values;
    op.heads = v.heads;
    op.key_heads = op.value_heads = v.key_heads;
    op.dim = op.value_dim = v.dim;
    op.score = Attention::Score::gravity;
    op.gravity = v.law;
    op.gravity.mass = test.param({v.heads}, 0.6f, v.mass);
    op.mask = test.param({v.heads}, 0.2f, 1);
    op.scale = v.scale;
    op.window = v.window;
    op.out = test.buffer(width);
    const auto shown = v.rows.empty() ? v.heads : static_cast<std::int64_t>(v.rows.size());
    op.rows = {.heads = v.rows,
               .logits = test.buffer(shown, BufferInfo::Extent::rows_keys),
               .scores = test.buffer(shown, BufferInfo::Extent::rows_keys),
               .maximum = test.buffer(v.heads),
               .sum = test.buffer(v.heads),
               .kept = test.buffer(v.heads),
               .entropy = test.buffer(v.heads),
               .top_keys = test.buffer(v.heads * 8),
               .top_weights = test.buffer(v.heads * 8)};
    return op;
}

/// The largest weights are left out: where weights are equal to the last bit, backends may order keys
/// differently.
inline Case gravity_case(const GravityVariant& v) {
    Case test;
    Attention op = add_gravity(test, v);
    op.rows.top_keys = op.rows.top_weights = {};
    test.plan.buffers.resize(test.plan.buffers.size() - 2);
    test.add(op);
    return test;
}

/// Keys of length 500, queries 0.55 away from them: |q - k|^2 is 0.3 where the expanded form is off by 0.1.
struct NearPairs {
    Case test{1, 32};
    Attention op;
    std::vector<double> squares; // exact, by token

    explicit NearPairs(bool clamp) {
        GravityVariant v{"near", 1, 1, 128, 500};
        v.law.clamp = clamp;
        op = add_gravity(test, v);
        auto& key = test.tables.weights[0].tensor;
        auto& query = test.tables.weights[2].tensor;
        const std::vector<float> k = key.to_floats();
        std::vector<float> q = k;
        for (std::size_t i = 0; i < q.size(); ++i) {
            q[i] += 0.08f * test.uniform();
        }
        for (std::size_t token = 0; token < static_cast<std::size_t>(Case::vocabulary); ++token) {
            double square = 0;
            for (std::size_t c = 0; c < 128; ++c) {
                const double d = static_cast<double>(q[token * 128 + c]) - k[token * 128 + c];
                square += d * d;
            }
            squares.push_back(square);
        }
        query = Tensor::from_floats({Case::vocabulary, 128}, std::move(q));
        test.add(op);
    }

    /// Largest relative error of the squared distance between a token's query and its own key.
    double error(Backend& backend) {
        Running running = start(backend, test);
        const StepState step = step_at(0, 32);
        running.executor->run(*running.program, step, {});
        const auto scores = running.executor->read(*running.program, op.rows.scores);
        double worst = 0;
        for (std::size_t t = 0; t < 32; ++t) {
            const double exact = squares[static_cast<std::size_t>(step.ids[t])];
            worst = std::max(worst, std::abs(-static_cast<double>(scores[t * 32 + t]) - exact) / exact);
        }
        return worst;
    }
};

} // namespace ergo::test
