// SPDX-License-Identifier: GPL-3.0-or-later
// Every op of the CPU backend against the reference, for every instruction set of this machine.
#include "engine/backend/reference/reference_backend.h"
#include "tests/backend/support_plans.h"

#include <QtTest>

#include <hwy/highway.h>

using namespace ergo;
using test::Case;
using Extent = BufferInfo::Extent;

namespace {

const std::vector<std::int64_t> chunks{1, 3, 17, 1, 32, 32, 5, 1}; // crosses the state's blocks of 64

// Each target in turn; the expectation does not depend on it.
std::string on_all_targets(const Case& test) {
    const auto reference = make_reference_backend();
    std::string message;
    for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
        hwy::SetSupportedTargetsForTest(target);
        hwy::GetChosenTarget().Update(target);
        const auto cpu = make_cpu_backend(2);
        const std::string found = test::difference(*reference, *cpu, test, chunks);
        if (!found.empty() && message.empty()) {
            message = std::string(hwy::TargetName(target)) + ": " + found;
        }
        hwy::SetSupportedTargetsForTest(0);
        hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    }
    return message;
}

// A metric attention with everything a plan may ask for.
struct Shape3 {
    int heads, key_heads, dim;
    bool told = false; ///< the states say what heads they have, so that a backend may lay them out by it
};

Attention add_attention(Case& test, Shape3 shape, Ball ball, bool per_head_ball) {
    const std::int64_t width = shape.heads * shape.dim, key_width = shape.key_heads * shape.dim;
    if (ball.mode != Ball::Mode::off) {
        const int balls = per_head_ball ? shape.heads : shape.key_heads;
        ball.origin = test.param({balls, shape.dim}, 0.3f);
        ball.radius =
            test.param({balls == shape.heads ? shape.heads : 1}, 0.1f, 0.55f * std::sqrt(shape.dim));
    }
    Rotation rotation;
    if (shape.dim % 2 == 0) {
        rotation.cos = test.weight({256, shape.dim});
        rotation.sin = test.weight({256, shape.dim});
        rotation.pairing = shape.heads % 2 ? Rotation::Pairing::half : Rotation::Pairing::interleaved;
    }
    Rotate rotate;
    rotate.in = test.input(width);
    rotate.out = test.buffer(width);
    rotate.heads = rotate.heads_in = shape.heads;
    rotate.dim = shape.dim;
    rotate.rotation = rotation;
    if (ball.mode != Ball::Mode::off && ball.test == Ball::Test::pairs) {
        rotate.ball = ball;
        rotate.distance = test.buffer(shape.heads);
    }
    test.add(rotate);
    AppendKeyValue append;
    append.key = test.input(key_width);
    append.value = test.input(key_width);
    append.heads = append.heads_in = append.value_heads = shape.key_heads;
    append.dim = append.value_dim = shape.dim;
    append.rotation = rotation;
    append.rotation.gain = test.weight({256, shape.dim}, 0.5f, 1);
    append.ball = ball;
    const int balls = per_head_ball ? shape.heads : shape.key_heads;
    const bool own = shape.told && shape.key_heads == shape.heads && balls == shape.heads;
    const auto told = [&](int heads, bool values) {
        return shape.told ? StateHeads{heads, shape.dim, values, own} : StateHeads{};
    };
    append.keys = test.state(key_width, told(shape.key_heads, false));
    append.values = test.state(key_width, told(shape.key_heads, true));
    if (ball.mode != Ball::Mode::off) {
        append.distances = test.state(balls, told(own ? balls : 1, false));
    }
    test.add(append);
    Attention attention;
    attention.query = rotate.out;
    attention.query_distance = rotate.distance;
    attention.keys = append.keys;
    attention.values = append.values;
    attention.distances = append.distances;
    attention.heads = shape.heads;
    attention.key_heads = attention.value_heads = shape.key_heads;
    attention.dim = attention.value_dim = shape.dim;
    attention.diagonal = test.param({shape.heads, shape.dim}, 0.8f, 0.6f); // some are negative: clamped
    attention.alpha = test.param({shape.heads}, 0.5f, 1.5f);
    attention.scale = 1 / std::sqrt(static_cast<float>(shape.dim));
    attention.ball = ball;
    attention.out = test.buffer(width);
    return attention;
}

void request_rows(Case& test, Attention& attention, std::vector<std::int32_t> heads) {
    const auto shown = heads.empty() ? attention.heads : static_cast<std::int64_t>(heads.size());
    attention.rows = {.heads = heads,
                      .logits = test.buffer(shown, Extent::rows_keys),
                      .scores = test.buffer(shown, Extent::rows_keys),
                      .maximum = test.buffer(attention.heads),
                      .sum = test.buffer(attention.heads),
                      .kept = test.buffer(attention.heads),
                      .entropy = test.buffer(attention.heads),
                      .top_keys = test.buffer(attention.heads * 8),
                      .top_weights = test.buffer(attention.heads * 8)};
}

#define SAME_EVERYWHERE(test) QCOMPARE(QString::fromStdString(on_all_targets(test)), QString())

} // namespace

class TestCpuOps : public QObject {
    Q_OBJECT

  private slots:
    void embed_norm_gate_data();
    void embed_norm_gate();
    void linear_data();
    void linear();
    void last_row();
    void convolution_data();
    void convolution();
    void rotate_heads();
    void attention_data();
    void attention();
    void empty_balls_data();
    void empty_balls();
    void scores_data();
    void scores();
    void rounded_cache_data();
    void rounded_cache();
    void equal_weights_and_masks();
    void kept_share();
    void route_data();
    void route();
    void mix_data();
    void mix();
};

void TestCpuOps::embed_norm_gate_data() {
    QTest::addColumn<int>("width");
    QTest::addColumn<int>("activation");
    for (const int width : {1, 3, 17, 64, 511}) {
        for (const int activation : {0, 1, 2, 3, 4, 5}) {
            QTest::addRow("%d wide, activation %d", width, activation) << width << activation;
        }
    }
}

void TestCpuOps::embed_norm_gate() {
    QFETCH(int, width);
    QFETCH(int, activation);
    Case test(static_cast<std::uint64_t>(width));
    const BufferId x = test.input(width, 8);
    const BufferId centred = test.buffer(width), both = test.buffer(2 * width + 1), out = test.buffer(width);
    test.add(Norm{x, centred, test.weight({width}), test.weight({width}), Norm::Kind::layer, 1e-5f});
    test.add(Norm{x, x, test.weight({width}), {}, Norm::Kind::rms, 1e-3f});
    test.add(Linear{x, test.weight({2 * width + 1, width}), {}, both, {}});
    const auto kind = static_cast<Activation>(activation);
    test.add(Gate{both, both, out, width, 1, kind});
    const BufferId alone = test.buffer(width);
    test.add(Gate{both, {}, alone, 0, 0, kind});
    test.add(Gate{alone, centred, alone, 0, 0, kind}); // in place
    const BufferId wide = test.buffer(width);
    test.add(Embed{test.weight({Case::vocabulary, width}, DType::bf16, true), wide});
    SAME_EVERYWHERE(test);
}

void TestCpuOps::linear_data() {
    QTest::addColumn<int>("inputs");
    QTest::addColumn<int>("outputs");
    QTest::addColumn<int>("type");
    QTest::addColumn<bool>("misaligned");
    for (const DType type : {DType::f32, DType::f64, DType::f16, DType::bf16}) {
        for (const bool misaligned : {false, true}) {
            for (const auto& [inputs, outputs] : {std::pair{1, 1}, {7, 3}, {16, 8}, {65, 37}, {96, 513}}) {
                QTest::addRow("%s %dx%d%s", dtype_name(type).data(), outputs, inputs,
                              misaligned ? " odd" : "")
                    << inputs << outputs << static_cast<int>(type) << misaligned;
            }
        }
    }
}

void TestCpuOps::linear() {
    QFETCH(int, inputs);
    QFETCH(int, outputs);
    QFETCH(int, type);
    QFETCH(bool, misaligned);
    const auto kind = static_cast<DType>(type);
    Case test;
    const BufferId in = test.input(inputs), out = test.buffer(outputs), biased = test.buffer(outputs);
    test.add(Linear{in, test.weight({outputs, inputs}, kind, misaligned), {}, out, {}});
    test.add(Linear{in, test.weight({outputs, inputs}, kind, misaligned, 1e-5f), // subnormal as f16
                    test.weight({outputs}, kind, misaligned), biased, Activation::silu});
    SAME_EVERYWHERE(test);
}

void TestCpuOps::last_row() {
    Case test;
    const BufferId x = test.input(9), normed = test.buffer(9, Extent::last_row);
    const BufferId logits = test.buffer(33, Extent::last_row), direct = test.buffer(33, Extent::last_row);
    test.add(Norm{x, normed, test.weight({9}), {}, Norm::Kind::rms, 1e-5f});
    test.add(Linear{normed, test.weight({33, 9}), {}, logits, {}});
    test.add(Linear{x, test.weight({33, 9}), {}, direct, {}});
    SAME_EVERYWHERE(test);
}

void TestCpuOps::convolution_data() {
    QTest::addColumn<int>("width");
    QTest::addColumn<int>("taps");
    for (const int width : {1, 5, 130}) {
        for (const int taps : {1, 2, 5, 70}) {
            QTest::addRow("%d channels, %d taps", width, taps) << width << taps;
        }
    }
}

void TestCpuOps::convolution() {
    QFETCH(int, width);
    QFETCH(int, taps);
    Case test;
    const BufferId in = test.input(width), out = test.buffer(width), plain = test.buffer(width);
    const StateId history = test.state(width);
    test.add(Append{in, history});
    test.add(Convolution{history, test.weight({width, taps}), test.weight({width}), out, Activation::silu});
    test.add(Convolution{history, test.weight({width, taps}), {}, plain, Activation::identity});
    SAME_EVERYWHERE(test);
}

// One head in, several out, each under its own diagonal; distances of points before and after.
void TestCpuOps::rotate_heads() {
    for (const bool unrotated : {false, true}) {
        Case test;
        Rotate rotate;
        rotate.in = test.input(6);
        rotate.heads = 3;
        rotate.heads_in = 1;
        rotate.dim = 6;
        rotate.out = test.buffer(18);
        rotate.rotation = {test.weight({256, 6}), test.weight({256, 6}), {}, Rotation::Pairing::half};
        rotate.diagonal = test.param({3, 6}, 1, 0.7f);
        rotate.ball.mode = Ball::Mode::hard;
        rotate.ball.unrotated = unrotated;
        rotate.ball.origin = test.param({3, 6});
        rotate.ball.radius = test.param({3});
        rotate.ball.diagonal = test.param({1, 6}, 1, 0.5f);
        rotate.distance = test.buffer(3);
        test.add(rotate);
        AppendKeyValue append;
        append.key = append.value = rotate.in; // tied
        append.heads = 3;
        append.dim = append.value_dim = 6;
        append.rotation = rotate.rotation;
        append.diagonal = rotate.diagonal;
        append.ball = rotate.ball;
        append.keys = test.state(18);
        append.values = test.state(6);
        append.distances = test.state(3);
        test.add(append);
        SAME_EVERYWHERE(test);
    }
}

void TestCpuOps::attention_data() {
    QTest::addColumn<int>("shape");
    QTest::addColumn<int>("mode");
    QTest::addColumn<int>("ball_test");
    QTest::addColumn<int>("window");
    for (int shape = 0; shape < 9; ++shape) {
        for (const int mode : {0, 1, 2}) {
            if ((shape == 3 || shape == 7) && mode != 0) {
                continue; // balls of grouped heads do not exist
            }
            for (const int pairs : {0, 1}) {
                for (const int window : {0, 1, 7, 66}) {
                    QTest::addRow("shape %d, ball %d, pairs %d, window %d", shape, mode, pairs, window)
                        << shape << mode << pairs << window;
                }
            }
        }
    }
}

void TestCpuOps::attention() {
    QFETCH(int, shape);
    QFETCH(int, mode);
    QFETCH(int, ball_test);
    QFETCH(int, window);
    constexpr Shape3 shapes[]{{3, 3, 8},         {4, 1, 2},        {2, 2, 24},
                              {6, 2, 5},         {1, 1, 1},        {16, 16, 4, true},
                              {32, 32, 8, true}, {6, 2, 32, true}, {2, 2, 48, true}};
    Case test(static_cast<std::uint64_t>(shape + 1));
    Ball ball;
    ball.mode = static_cast<Ball::Mode>(mode);
    ball.test = static_cast<Ball::Test>(ball_test);
    ball.softness = 3;
    // With one key head there is one shared ball, with as many as query heads each has its own.
    const bool per_head = shapes[shape].key_heads == shapes[shape].heads;
    Attention attention = add_attention(test, shapes[shape], ball, per_head);
    attention.window = window;
    request_rows(test, attention,
                 window == 7 ? std::vector<std::int32_t>{attention.heads - 1, 0}
                             : std::vector<std::int32_t>{});
    test.add(attention);
    attention.rows = {};
    attention.out = test.buffer(attention.heads * attention.value_dim);
    test.add(attention); // without captures the result is the same
    SAME_EVERYWHERE(test);
}

void TestCpuOps::empty_balls_data() {
    QTest::addColumn<int>("fallback");
    QTest::addColumn<int>("ball_test");
    QTest::addColumn<bool>("told");
    for (const int fallback : {0, 1, 2}) {
        for (const int pairs : {0, 1}) {
            for (const bool told : {false, true}) {
                QTest::addRow("fallback %d, pairs %d, side by side %d", fallback, pairs, told)
                    << fallback << pairs << told;
            }
        }
    }
}

void TestCpuOps::empty_balls() {
    QFETCH(int, fallback);
    QFETCH(int, ball_test);
    QFETCH(bool, told);
    for (const float shrink : {0.0f, 0.5f}) { // nothing inside; few inside
        Case test;
        Ball ball;
        ball.mode = Ball::Mode::hard;
        ball.test = static_cast<Ball::Test>(ball_test);
        ball.fallback = static_cast<Ball::Fallback>(fallback);
        Attention attention =
            add_attention(test, told ? Shape3{16, 16, 8, true} : Shape3{4, 1, 8}, ball, true);
        for (float& radius :
             test.tables.params[static_cast<std::size_t>(attention.ball.radius.index)].values) {
            radius *= shrink;
        }
        attention.window = 20;
        request_rows(test, attention, {});
        test.add(attention);
        SAME_EVERYWHERE(test);
    }
}

void TestCpuOps::scores_data() {
    QTest::addColumn<int>("kind");
    QTest::addColumn<bool>("direct");
    QTest::addColumn<int>("diagonal");
    QTest::addColumn<bool>("told");
    for (const int kind : {0, 1, 2}) {
        for (const bool direct : {false, true}) {
            for (const int diagonal : {0, 1, 2}) {
                for (const bool told : {false, true}) {
                    QTest::addRow("score %d, direct %d, diagonal %d, side by side %d", kind, direct, diagonal,
                                  told)
                        << kind << direct << diagonal << told;
                }
            }
        }
    }
}

void TestCpuOps::scores() {
    QFETCH(int, kind);
    QFETCH(bool, direct);
    QFETCH(int, diagonal);
    QFETCH(bool, told);
    Case test;
    const Shape3 shape = told ? Shape3{16, 16, 6, true} : Shape3{2, 1, 24};
    const int width = shape.heads * shape.dim;
    Attention attention = add_attention(test, shape, {}, told);
    attention.score = static_cast<Attention::Score>(kind);
    attention.direct = direct;
    attention.diagonal =
        diagonal == 0 ? ParamId{} : test.param({diagonal == 1 ? 1 : shape.heads, shape.dim}, 0.5f, 0.6f);
    if (kind == 2) { // rows of zeros: the cosine's floor
        auto zeros = std::vector<float>(static_cast<std::size_t>(Case::vocabulary * width), 0.0f);
        test.tables.weights[static_cast<std::size_t>(std::get<Embed>(test.plan.ops[0].body).table.index)]
            .tensor = Tensor::from_floats({Case::vocabulary, width}, std::move(zeros));
    }
    request_rows(test, attention, {});
    test.add(attention);
    SAME_EVERYWHERE(test);
}

constexpr int plain_dot = 4; // a score more: dot products without a diagonal

void TestCpuOps::rounded_cache_data() {
    QTest::addColumn<int>("type");
    QTest::addColumn<int>("kind");
    QTest::addColumn<int>("heads");
    QTest::addColumn<int>("key_heads");
    QTest::addColumn<int>("dim");
    for (const DType type : {DType::bf16, DType::q8}) {
        for (const int kind : {0, 1, 2, 3, plain_dot}) {
            for (const auto& [heads, key_heads, dim] :
                 {std::tuple{4, 2, 32}, {6, 1, 96}, {3, 3, 64}, {16, 2, 128}}) {
                QTest::addRow("%s, score %d, %d of %d heads of %d", dtype_name(type).data(), kind, heads,
                              key_heads, dim)
                    << static_cast<int>(type) << kind << heads << key_heads << dim;
            }
        }
    }
}

// Both backends round the same numbers, so they agree as closely as in floats.
void TestCpuOps::rounded_cache() {
    QFETCH(int, type);
    QFETCH(int, kind);
    QFETCH(int, heads);
    QFETCH(int, key_heads);
    QFETCH(int, dim);
    Case test;
    AppendKeyValue append;
    append.key = test.input(key_heads * dim);
    append.value = test.input(key_heads * dim);
    append.heads = append.heads_in = append.value_heads = key_heads;
    append.dim = append.value_dim = dim;
    append.keys = test.state(key_heads * dim, {key_heads, dim, false, key_heads == heads});
    append.values = test.state(key_heads * dim, {key_heads, dim, true, key_heads == heads});
    for (StateInfo& state : test.tables.states) {
        state.stored = static_cast<DType>(type);
    }
    test.add(append);
    Attention attention;
    attention.query = test.input(heads * dim);
    attention.keys = append.keys;
    attention.values = append.values;
    attention.heads = heads;
    attention.key_heads = attention.value_heads = key_heads;
    attention.dim = attention.value_dim = dim;
    const bool plain = kind == plain_dot;
    attention.score = plain ? Attention::Score::dot : static_cast<Attention::Score>(kind);
    attention.diagonal = kind == 3 || plain ? ParamId{} : test.param({1, dim}, 0.5f, 1);
    attention.scale = 1 / std::sqrt(static_cast<float>(dim));
    if (attention.score == Attention::Score::gravity) {
        attention.gravity.mass = test.param({heads}, 0.2f, 1);
        attention.scale = 1;
    }
    attention.out = test.buffer(heads * dim);
    request_rows(test, attention, {});
    attention.rows.top_keys = attention.rows.top_weights = {};
    test.plan.buffers.resize(test.plan.buffers.size() - 2);
    test.add(attention);
    SAME_EVERYWHERE(test);
}

void TestCpuOps::equal_weights_and_masks() {
    Case test;
    Attention attention = add_attention(test, {3, 3, 4}, {}, false);
    attention.alpha = test.fixed({3}, {0, 1, 1}); // head 0 sees all keys alike: ties in the largest weights
    attention.mask = test.fixed({3}, {1, 0, 0.5f});
    request_rows(test, attention, {0, 0, 1});
    test.add(attention);
    SAME_EVERYWHERE(test);
    const auto cpu = make_cpu_backend(1);
    test::Running running = test::start(*cpu, test);
    running.executor->run(*running.program, test::step_at(0, 12), {});
    const auto keys = running.executor->read(*running.program, attention.rows.top_keys);
    const auto out = running.executor->read(*running.program, attention.out);
    for (std::size_t i = 0; i < 8; ++i) {
        QCOMPARE(keys[11 * 24 + i], static_cast<float>(i)); // the lower key first
        QCOMPARE(keys[3 * 24 + i], i <= 3 ? static_cast<float>(i) : -1.0f);
    }
    for (std::size_t c = 4; c < 8; ++c) {
        QCOMPARE(out[11 * 12 + c], 0.0f);
    }
}

void TestCpuOps::kept_share() {
    // one key head of five, then 32 heads that lie side by side
    for (const Shape3& shape : {Shape3{5, 1, 3}, Shape3{32, 32, 8, true}}) {
        for (const int fallback : {0, 1, 2}) {
            for (const bool per_head : {false, true}) {
                Case test;
                Ball ball;
                ball.mode = Ball::Mode::hard;
                ball.fallback = static_cast<Ball::Fallback>(fallback);
                const Attention attention = add_attention(test, shape, ball, per_head);
                KeptShare share{attention.distances, attention.ball, shape.heads, 0,
                                test.buffer(shape.heads)};
                share.ball.radius = test.param({shape.heads}, 0.4f, 0.5f);
                test.add(share);
                share.window = 9;
                share.out = test.buffer(shape.heads);
                test.add(share);
                SAME_EVERYWHERE(test);
            }
        }
    }
}

void TestCpuOps::route_data() {
    QTest::addColumn<int>("paths");
    QTest::addColumn<float>("top_k");
    QTest::addColumn<bool>("renormalise");
    QTest::addColumn<int>("offset");
    for (const int paths : {1, 3, 4, 9}) {
        for (const float top_k : {0.0f, 1.0f, 2.4f, 4.0f}) {
            for (const bool renormalise : {false, true}) {
                for (const int offset : {0, 1, 2, 3}) {
                    QTest::addRow("%d paths, %g, %d, offset %d", paths, static_cast<double>(top_k),
                                  renormalise, offset)
                        << paths << top_k << renormalise << offset;
                }
            }
        }
    }
}

void TestCpuOps::route() {
    QFETCH(int, paths);
    QFETCH(float, top_k);
    QFETCH(bool, renormalise);
    QFETCH(int, offset);
    Case test;
    Route route;
    route.logits = test.input(paths, 3);
    if (offset == 1) {
        route.offset = test.input(paths, 2);
    } else if (offset >= 2) {
        route.constant_offset = test.weight({paths}, 2);
    }
    route.tanh_offset = offset != 3;
    route.temperature = test.fixed({1}, {1.7f});
    route.top_k = test.fixed({1}, {top_k});
    route.renormalise = renormalise;
    route.paths = paths;
    route.total = test.buffer(paths);
    route.shares = test.buffer(paths);
    test.add(route);
    route.mask = test.fixed({paths}, std::vector<float>(static_cast<std::size_t>(paths), 1));
    test.tables.params.back().values[0] = 0; // with one path: all of them
    route.total = {};
    route.shares = test.buffer(paths);
    test.add(route);
    SAME_EVERYWHERE(test);
}

void TestCpuOps::mix_data() {
    QTest::addColumn<int>("gate"); // 0 none, 1 scalar, 2 vector, 3 constant scalar, 4 constant vector
    QTest::addColumn<int>("scale");
    QTest::addColumn<bool>("routed");
    for (int gate = 0; gate < 5; ++gate) {
        for (const int scale : {0, 1, 2}) {
            QTest::addRow("gate %d, scale %d", gate, scale) << gate << scale << true;
            QTest::addRow("gate %d, scale %d, unrouted", gate, scale) << gate << scale << false;
        }
    }
}

void TestCpuOps::mix() {
    QFETCH(int, gate);
    QFETCH(int, scale);
    QFETCH(bool, routed);
    constexpr std::int64_t width = 19;
    Case test;
    Mix mix;
    mix.shares = routed ? test.shares(3) : BufferId{};
    const BufferId in = test.input(width);
    for (std::int32_t p = 0; p < 3; ++p) {
        mix.parts.push_back(test.buffer(width));
        const Guard when{mix.shares, p};
        test.add(Linear{in, test.weight({width, width}), {}, mix.parts.back(), {}}, routed ? when : Guard{});
        if (routed) {
            test.guarded.emplace_back(mix.parts.back(), when);
        }
    }
    if (gate == 1 || gate == 2) {
        mix.gate_width = gate == 1 ? 1 : width;
        mix.gate = test.input(3 * mix.gate_width, 2);
    } else if (gate == 3) {
        mix.constant_gate = test.weight({3});
    } else if (gate == 4) {
        mix.constant_gate = test.weight({3, width});
    }
    if (scale > 0) {
        mix.layer_scale = scale == 1 ? test.weight({width}) : test.weight({3, width});
    }
    mix.out = test.buffer(width);
    test.add(mix);
    mix.residual = mix.out = in; // in place
    test.add(mix);
    SAME_EVERYWHERE(test);
}

QTEST_GUILESS_MAIN(TestCpuOps)
#include "test_cpu_ops.moc"
