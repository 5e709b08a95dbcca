// SPDX-License-Identifier: GPL-3.0-or-later
// Every op, with weights of every type and awkward widths, as prompts and as single tokens, on the software
// device with the validation layer on: the plain reference's and the CPU's numbers, and not one message.
#include "engine/backend/reference/reference_backend.h"
#include "support_plans.h"
#include "support_vulkan.h"

#include <QtTest>

#include <cmath>
#include <functional>
#include <memory>
#include <mutex>

using namespace ergo;
using namespace ergo::test;

namespace {

using Extent = BufferInfo::Extent;
using Make = void (*)(Case& test, std::int64_t width);

void embed(Case& test, std::int64_t width) {
    test.input(width);
}

void norms(Case& test, std::int64_t width) {
    const BufferId x = test.input(4 * width, 3);
    test.add(Norm{x, test.buffer(4 * width), test.weight({4 * width}), test.weight({4 * width}),
                  Norm::Kind::layer, 1e-5f});
    test.add(Norm{x, test.buffer(4 * width), test.weight({4 * width}), {}, Norm::Kind::rms, 1e-3f});
    test.add(Norm{x, test.buffer(4 * width), test.weight({width}), {}, Norm::Kind::rms, 1e-3f, 4});
    test.add(Norm{
        x, test.buffer(4 * width, Extent::last_row), test.weight({4 * width}), {}, Norm::Kind::rms, 1e-3f});
    test.add(Norm{x, x, test.weight({4 * width}), {}, Norm::Kind::layer, 1e-5f}); // in place
}

void linears(Case& test, std::int64_t width) {
    const BufferId x = test.input(width), shares = test.shares(3), routed = test.buffer(width + 4);
    for (int activation = 0; activation <= static_cast<int>(Activation::sigmoid); ++activation) {
        const std::int64_t outputs = width + 30 * activation;
        test.add(Linear{x, test.weight({outputs, width}),
                        activation % 2 ? test.weight({outputs}) : WeightId{}, test.buffer(outputs),
                        static_cast<Activation>(activation)});
    }
    test.add(Linear{x, test.weight({71, width}), {}, test.buffer(71, Extent::last_row), {}});
    test.add(Linear{x, test.weight({width + 4, width}), {}, routed, {}}, Guard{shares, 2});
    test.guarded.push_back({routed, Guard{shares, 2}});
}

void gates(Case& test, std::int64_t width) {
    const BufferId both = test.input(2 * width + 1, 3);
    for (int activation = 0; activation <= static_cast<int>(Activation::sigmoid); ++activation) {
        const auto kind = static_cast<Activation>(activation);
        test.add(Gate{both, both, test.buffer(width), width, 1, kind});
        test.add(Gate{both, {}, test.buffer(width), 0, 0, kind});
    }
    const BufferId last = test.buffer(width, Extent::last_row);
    test.add(Gate{both, both, last, 0, 2, Activation::silu});
}

void convolutions(Case& test, std::int64_t width) {
    const BufferId in = test.input(width);
    const StateId history = test.state(width);
    test.add(Append{in, history});
    for (const int taps : {1, 4, 7}) {
        test.add(Convolution{history, test.weight({width, taps}),
                             taps == 4 ? test.weight({width}) : WeightId{}, test.buffer(width),
                             taps == 7 ? Activation::identity : Activation::silu});
    }
}

/// Keys and values under a metric with balls, rows shown, and the share that balls keep.
void attentions(Case& test, std::int64_t width) {
    const auto heads = static_cast<std::int32_t>(3), dim = static_cast<std::int32_t>(2 * width);
    Ball ball;
    ball.mode = Ball::Mode::hard;
    ball.origin = test.param({heads, dim}, 0.3f);
    ball.radius = test.param({heads}, 0.1f, 0.55f * std::sqrt(static_cast<float>(dim)));
    Rotation rotation{test.weight({256, dim}), test.weight({256, dim}), {}, Rotation::Pairing::half};
    Rotate rotate;
    rotate.in = test.input(heads * dim);
    rotate.out = test.buffer(heads * dim);
    rotate.heads = rotate.heads_in = heads;
    rotate.dim = dim;
    rotate.rotation = rotation;
    test.add(rotate);
    AppendKeyValue append;
    append.key = test.input(heads * dim);
    append.value = test.input(heads * dim);
    append.heads = append.heads_in = append.value_heads = heads;
    append.dim = append.value_dim = dim;
    append.rotation = rotation;
    append.rotation.gain = test.weight({256, dim}, 0.5f, 1);
    append.ball = ball;
    append.keys = test.state(heads * dim);
    append.values = test.state(heads * dim);
    append.distances = test.state(heads);
    test.add(append);
    for (const auto score : {Attention::Score::dot, Attention::Score::negative_squared_distance,
                             Attention::Score::cosine, Attention::Score::gravity}) {
        Attention op;
        op.query = rotate.out;
        op.keys = append.keys;
        op.values = append.values;
        op.heads = op.key_heads = op.value_heads = heads;
        op.dim = op.value_dim = dim;
        op.score = score;
        op.scale = 1 / std::sqrt(static_cast<float>(dim));
        if (score == Attention::Score::gravity) {
            op.gravity.mass = test.param({heads}, 0.3f, 1);
            op.scale = 1;
        } else {
            op.distances = append.distances;
            op.ball = ball;
            op.alpha = test.param({heads}, 0.5f, 1.5f);
        }
        op.out = test.buffer(heads * dim);
        op.rows.heads = {2, 0};
        op.rows.logits = test.buffer(2, Extent::rows_keys);
        op.rows.scores = test.buffer(2, Extent::rows_keys);
        op.rows.maximum = test.buffer(heads);
        op.rows.sum = test.buffer(heads);
        op.rows.kept = test.buffer(heads);
        op.rows.entropy = test.buffer(heads);
        test.add(op);
    }
    test.add(KeptShare{append.distances, ball, heads, 0, test.buffer(heads)});
}

void routes(Case& test, std::int64_t width) {
    const auto paths = static_cast<std::int32_t>(width % 9 + 1);
    for (const bool constant : {false, true}) {
        Route route;
        route.logits = test.input(paths, 3);
        if (constant) {
            route.constant_offset = test.weight({paths}, 2);
        } else {
            route.offset = test.input(paths, 2);
        }
        route.temperature = test.fixed({1}, {1.7f});
        route.top_k = test.fixed({1}, {2});
        route.renormalise = constant;
        route.paths = paths;
        route.total = test.buffer(paths);
        route.shares = test.buffer(paths);
        test.add(route);
    }
}

void mixes(Case& test, std::int64_t width) {
    const BufferId shares = test.shares(3), in = test.input(width);
    for (int kind = 0; kind < 4; ++kind) {
        Mix mix;
        mix.parts = {test.input(width), test.input(width), test.input(width)};
        mix.shares = kind % 2 ? shares : BufferId{};
        if (kind == 0) {
            mix.gate = test.input(3 * width, 2);
            mix.gate_width = width;
        } else if (kind == 1) {
            mix.constant_gate = test.weight({3});
            mix.layer_scale = test.weight({width});
        } else if (kind == 2) {
            mix.constant_gate = test.weight({3, width});
            mix.layer_scale = test.weight({3, width});
        }
        mix.residual = kind == 3 ? BufferId{} : in;
        mix.out = test.buffer(width);
        test.add(mix);
    }
}

void depths(Case& test, std::int64_t width) {
    for (const int sources : {1, 5}) {
        DepthRoute route;
        for (int s = 0; s < sources; ++s) {
            route.sources.push_back(test.input(width, 1 + 0.3f * static_cast<float>(s)));
        }
        route.query = test.weight({width});
        route.weights = test.buffer(sources);
        route.out = test.buffer(width);
        test.add(route);
    }
}

/// All weights as `type`, matrices of products and embeddings too.
void retype(Case& test, DType type) {
    for (WeightInfo& weight : test.tables.weights) {
        const std::vector<float> values = weight.values();
        if (type == DType::q8 || type == DType::q4) {
            if (weight.tensor.shape().size() == 2) {
                weight.run_as = type;
            }
        } else if (type == DType::f64) {
            auto owner = std::make_shared<std::vector<double>>(values.begin(), values.end());
            weight.tensor =
                Tensor(type, weight.tensor.shape(), std::as_bytes(std::span<const double>(*owner)), owner);
        } else {
            weight.tensor = stored(weight.tensor.shape(), values, type);
        }
    }
}

struct Kind {
    const char* name;
    Make make;
    bool products = false; // whose matrices may be in whole numbers
};

constexpr Kind kinds[] = {{"embed", embed, true},
                          {"norm", norms},
                          {"linear", linears, true},
                          {"gate", gates},
                          {"append, convolution", convolutions},
                          {"rotate, append, attention, kept share", attentions},
                          {"route", routes},
                          {"mix", mixes},
                          {"depth route", depths}};

} // namespace

class TestVulkanOps : public QObject {
    Q_OBJECT
    std::shared_ptr<Backend> reference_ = make_reference_backend(), cpu_ = make_cpu_backend(2), vulkan_;
    std::mutex mutex_;
    std::vector<std::string> messages_;

  private slots:
    void initTestCase() {
        const int device = software_device();
        QVERIFY2(device >= 0, no_driver);
        vulkan_ = make_vulkan_backend(device, validated([this](const std::string& message) {
                                          const std::lock_guard lock(mutex_);
                                          messages_.push_back(message);
                                      }));
    }

    void agrees_data() {
        QTest::addColumn<int>("kind");
        QTest::addColumn<int>("type");
        for (int k = 0; k < static_cast<int>(std::size(kinds)); ++k) {
            for (const DType type : {DType::f32, DType::f64, DType::f16, DType::bf16, DType::q8, DType::q4}) {
                if (kinds[k].products || (type != DType::q8 && type != DType::q4)) {
                    QTest::addRow("%s, %s", kinds[k].name, dtype_name(type).data())
                        << k << static_cast<int>(type);
                }
            }
        }
    }
    void agrees() {
        QFETCH(int, kind);
        QFETCH(int, type);
        const auto stored_type = static_cast<DType>(type);
        // Inputs are rounded to 16 bits where weights are in whole numbers, but not on the device.
        const double tolerance = stored_type == DType::q8 || stored_type == DType::q4 ? 1e-4 : 2e-5;
        for (const std::int64_t width : {1, 37, 64}) {
            for (const auto& [max_rows, chunks] :
                 {std::pair{std::int64_t{33}, std::vector<std::int64_t>{3, 33, 1, 17}},
                  std::pair{std::int64_t{1}, std::vector<std::int64_t>{1, 1, 1}}}) {
                Case test(static_cast<std::uint64_t>(width), max_rows);
                kinds[kind].make(test, width);
                retype(test, stored_type);
                for (const auto& expected : {reference_, cpu_}) {
                    const std::string message = difference(*expected, *vulkan_, test, chunks, tolerance);
                    QVERIFY2(message.empty(), (std::to_string(width) + " wide, " + std::to_string(max_rows) +
                                               " rows: " + message)
                                                  .c_str());
                }
            }
        }
        QCOMPARE(messages_.size(), std::size_t(0));
    }

    void cleanupTestCase() {
        vulkan_.reset(); // destruction is validated as well
        for (const std::string& message : messages_) {
            qWarning("%s", message.c_str());
        }
        QCOMPARE(messages_.size(), std::size_t(0));
    }
};

QTEST_GUILESS_MAIN(TestVulkanOps)
#include "test_vulkan_ops.moc"
