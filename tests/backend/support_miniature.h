// SPDX-License-Identifier: GPL-3.0-or-later
// A model that has what a session's tests need: routing, skipped paths, remembered keys, a ball.
#pragma once

#include "tests/backend/support_plans.h"

namespace ergo::test {

/// Routed model in miniature: two guarded paths (an attention, a product), mixed into the stream, then
/// logits.
struct Miniature {
    explicit Miniature(BufferInfo::Extent logits_extent = BufferInfo::Extent::last_row) {
        const BufferId x = test.input(width), n = test.buffer(width);
        test.add(Norm{x, n, test.weight({width}), test.weight({width}), Norm::Kind::layer, 1e-5f});
        const BufferId router = test.buffer(2);
        test.add(Linear{n, test.weight({2, width}, 4), {}, router, {}});
        shares = test.buffer(2);
        Route route;
        route.logits = router;
        route.shares = shares;
        route.paths = 2;
        route.temperature = test.fixed({1}, {1});
        top_k = route.top_k = test.fixed({1}, {1});
        mask = route.mask = test.fixed({2}, {1, 1});
        test.add(route);
        const BufferId attended = add_attention(n), product = test.buffer(width);
        path_weight = test.weight({width, width}, DType::bf16, false);
        test.add(Linear{n, path_weight, {}, product, Activation::silu}, Guard{shares, 1});
        Mix mix;
        mix.parts = {attended, product};
        mix.shares = shares;
        mix.residual = mix.out = x;
        test.add(mix);
        test.plan.logits = test.buffer(Case::vocabulary, logits_extent);
        test.add(Linear{x, test.weight({Case::vocabulary, width}), {}, test.plan.logits, {}});
    }

    BufferId add_attention(BufferId n) {
        constexpr std::int64_t key_width = width / 4;
        const BufferId kv = test.buffer(key_width), query = test.buffer(width), turned = test.buffer(width);
        test.add(Linear{n, test.weight({key_width, width}), {}, kv, {}});
        AppendKeyValue append;
        append.key = append.value = kv;
        append.dim = append.value_dim = key_width;
        append.rotation = {
            test.weight({300, key_width}), test.weight({300, key_width}), {}, Rotation::Pairing::half};
        append.ball.mode = Ball::Mode::hard;
        append.ball.origin = test.param({1, key_width}, 0.2f);
        append.ball.radius = radius = test.fixed({1}, {11}); // keeps about half of the keys
        append.keys = keys = test.state(key_width);
        append.values = test.state(key_width);
        append.distances = test.state(1);
        test.add(append);
        query_weight = test.weight({width, width});
        test.add(Linear{n, query_weight, {}, query, {}}, Guard{shares, 0});
        Rotate rotate;
        rotate.in = query;
        rotate.out = turned;
        rotate.heads = rotate.heads_in = 4;
        rotate.dim = key_width;
        rotate.rotation = append.rotation;
        test.add(rotate, Guard{shares, 0});
        Attention attention;
        attention.query = turned;
        attention.keys = append.keys;
        attention.values = append.values;
        attention.distances = append.distances;
        attention.heads = 4;
        attention.dim = attention.value_dim = key_width;
        attention.alpha = test.param({4}, 0.3f, 1);
        attention.ball = append.ball;
        attention.out = test.buffer(width);
        test.add(attention, Guard{shares, 0});
        return attention.out;
    }

    static constexpr std::int64_t width = 40;
    Case test{7, 48};
    BufferId shares;
    ParamId top_k, mask, radius;
    WeightId path_weight, query_weight;
    StateId keys;
};

} // namespace ergo::test
