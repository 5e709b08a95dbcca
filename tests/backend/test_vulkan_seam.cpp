// SPDX-License-Identifier: GPL-3.0-or-later
// The seam between models and backends: one plan object runs unchanged on the CPU and on the software Vulkan
// device, with the validation layer on, and every buffer and state agrees.
#include "engine/base/error.h"
#include "support_vulkan.h"

#include <QtTest>

#include <functional>
#include <map>

using namespace ergo;
using namespace ergo::test;

namespace {

/// What differs between the plans.
struct Variant {
    const char* name = "";
    Attention::Score score = Attention::Score::negative_squared_distance;
    std::int32_t heads = 5, key_heads = 5, key_heads_in = 5, dim = 6, value_heads = 5, value_dim = 6;
    bool before = false;  // the metric scales before the rotation
    bool diagonal = true; // a diagonal metric
    bool ball_in_metric = false;
    Ball::Mode mode = Ball::Mode::hard;
    Ball::Test test = Ball::Test::keys;
    Ball::Fallback fallback = Ball::Fallback::unpruned;
    bool unrotated = false;
    bool shared_ball = false; // one origin and radius for all heads
    float radius = 1.1f;
    Rotation::Pairing pairing = Rotation::Pairing::half;
    bool rotated = true;
    std::int64_t window = 0;
    std::vector<std::int32_t> rows{}; // heads whose rows are captured
    DType matrices = DType::f32;
    bool renormalise = true;
    Norm::Kind norm = Norm::Kind::layer;
    Activation activation = Activation::silu;
};

constexpr std::int64_t width = 37, vocabulary = 53, capacity = 160, paths = 4, taps = 4;

/// A small model: embedding, norm, a router, a guarded attention path, a guarded convolution path, a mix,
/// logits of the last row.
struct Built {
    std::shared_ptr<Tables> tables = std::make_shared<Tables>();
    std::shared_ptr<Plan> plan = std::make_shared<Plan>();
    BufferId shares;
    std::map<std::int32_t, std::int32_t> guarded; // buffer to the path that its rows belong to
    ParamId alpha, radius;
};

class Builder {
  public:
    Builder(const Variant& variant, std::int64_t max_rows) : v_(variant), numbers_(7) {
        built_.plan->max_rows = max_rows;
    }

    Built build() {
        const BufferId x = buffer("x", width), n = buffer("n", width);
        add("embed", Embed{matrix("embedding", vocabulary, width), x});
        add("norm",
            Norm{x, n, vector("norm.w", width, 0.2f, 1),
                 v_.norm == Norm::Kind::rms ? WeightId{} : vector("norm.b", width, 0.1f), v_.norm, 1e-5f});
        add_router(n);
        const BufferId attended = add_attention(n);
        const BufferId filtered = add_convolution(n);
        add_end(x, n, attended, filtered);
        for (std::int32_t i = 0; i < static_cast<std::int32_t>(built_.plan->buffers.size()); ++i) {
            built_.plan->taps.push_back({0, BufferId{i}}); // everything is compared
        }
        return std::move(built_);
    }

  private:
    BufferId buffer(const std::string& name, std::int64_t w,
                    BufferInfo::Extent extent = BufferInfo::Extent::rows) {
        return built_.plan->add_buffer(name, w, extent);
    }
    WeightId matrix(const std::string& name, std::int64_t outputs, std::int64_t inputs) {
        const auto values = numbers_.many(outputs * inputs, 1.7f / std::sqrt(static_cast<float>(inputs)));
        return built_.tables->add_weight(name, stored({outputs, inputs}, values, v_.matrices));
    }
    WeightId vector(const std::string& name, std::int64_t size, float scale, float middle = 0) {
        // Small weights come in the checkpoint's type as well.
        return built_.tables->add_weight(name,
                                         stored({size}, numbers_.many(size, scale, middle), v_.matrices));
    }
    WeightId table(const std::string& name, std::int64_t columns, float scale, float middle = 0) {
        return built_.tables->add_weight(
            name, Tensor::from_floats({capacity, columns}, numbers_.many(capacity * columns, scale, middle)));
    }
    ParamId param(const std::string& name, Shape shape, float scale, float middle) {
        const auto count = element_count(shape);
        return built_.tables->add_param(name, std::move(shape), numbers_.many(count, scale, middle));
    }
    void add(const std::string& name, decltype(Op::body) body, std::int32_t path = -1) {
        Op op{name, {}, std::move(body)};
        if (path >= 0) {
            op.when = {built_.shares, path};
        }
        built_.plan->add(std::move(op));
    }
    BufferId linear(const std::string& name, BufferId in, std::int64_t inputs, std::int64_t outputs,
                    std::int32_t path = -1, bool bias = false, Activation activation = Activation::identity) {
        const BufferId out = buffer(name, outputs);
        Linear op{in, matrix(name + ".w", outputs, inputs), {}, out, activation};
        if (bias) {
            op.bias = vector(name + ".b", outputs, 0.1f);
        }
        add(name, op, path);
        own(out, path);
        return out;
    }
    void own(BufferId id, std::int32_t path) {
        if (id && path >= 0) {
            built_.guarded[id.index] = path;
        }
    }

    void add_router(BufferId n) {
        Route op;
        op.logits = linear("router", n, width, paths, -1, true, Activation::gelu);
        op.offset = linear("router_gate", n, width, paths, -1, true, Activation::gelu_tanh);
        op.temperature = param("temperature", {1}, 0, 1.5f);
        op.top_k = param("top_k", {1}, 0, 2);
        op.mask = built_.tables->add_param("path_mask", {paths}, {1, 1, 1, 0});
        op.renormalise = v_.renormalise;
        op.total = buffer("router.total", paths);
        op.shares = built_.shares = buffer("router.shares", paths);
        add("route", op);
    }

    Ball ball() {
        Ball made;
        made.mode = v_.mode;
        made.test = v_.test;
        made.fallback = v_.fallback;
        made.unrotated = v_.unrotated;
        if (v_.mode != Ball::Mode::off) {
            made.origin = v_.shared_ball ? param("origin", {v_.dim}, 0.3f, 0)
                                         : param("origin", {v_.heads, v_.dim}, 0.3f, 0);
            built_.radius = made.radius = v_.shared_ball ? param("radius", {1}, 0, v_.radius)
                                                         : param("radius", {v_.heads}, 0.3f, v_.radius);
            made.softness = 3;
        }
        return made;
    }

    BufferId add_attention(BufferId n) {
        constexpr std::int32_t path = 1;
        Rotation rotation;
        rotation.pairing = v_.pairing;
        if (v_.rotated) {
            rotation.cos = table("cos", v_.dim, 1);
            rotation.sin = table("sin", v_.dim, 1);
        }
        Ball test = ball();
        const ParamId diagonal = v_.diagonal ? param("diagonal", {v_.heads, v_.dim}, 0.9f, 0.6f) : ParamId{};
        test.diagonal = v_.ball_in_metric ? diagonal : ParamId{};

        AppendKeyValue append;
        append.key = linear("k", n, width, std::int64_t{v_.key_heads_in} * v_.dim);
        append.value = v_.key_heads_in == v_.value_heads && v_.value_dim == v_.dim
                           ? append.key
                           : linear("v", n, width, std::int64_t{v_.value_heads} * v_.value_dim);
        append.heads = v_.key_heads;
        append.heads_in = v_.key_heads_in;
        append.dim = v_.dim;
        append.value_heads = v_.value_heads;
        append.value_dim = v_.value_dim;
        append.rotation = rotation;
        append.rotation.gain = table("gain", v_.value_dim, 0.4f, 1);
        append.diagonal = v_.before ? diagonal : ParamId{};
        append.ball = test;
        append.keys = built_.tables->add_state("keys", std::int64_t{v_.key_heads} * v_.dim);
        append.values = built_.tables->add_state("values", std::int64_t{v_.value_heads} * v_.value_dim);
        if (v_.mode != Ball::Mode::off) {
            const std::int32_t balls = v_.shared_ball ? v_.key_heads : v_.heads;
            append.distances = built_.tables->add_state("distances", balls);
        }
        add("append", append);

        Rotate rotate;
        rotate.in = linear("q", n, width, std::int64_t{v_.heads} * v_.dim, path);
        rotate.out = buffer("q.rotated", std::int64_t{v_.heads} * v_.dim);
        rotate.heads = rotate.heads_in = v_.heads;
        rotate.dim = v_.dim;
        rotate.rotation = rotation;
        rotate.diagonal = append.diagonal;
        rotate.ball = test;
        if (v_.mode != Ball::Mode::off && v_.test == Ball::Test::pairs) {
            rotate.distance = buffer("q.distance", v_.heads);
            own(rotate.distance, path);
        }
        add("rotate", rotate, path);
        own(rotate.out, path);
        return add_scores(append, rotate, v_.before ? ParamId{} : diagonal, path);
    }

    BufferId add_scores(const AppendKeyValue& append, const Rotate& rotate, ParamId diagonal,
                        std::int32_t path) {
        Attention op;
        op.query = rotate.out;
        op.query_distance = rotate.distance;
        op.keys = append.keys;
        op.values = append.values;
        op.distances = append.distances;
        op.heads = v_.heads;
        op.key_heads = v_.key_heads;
        op.dim = v_.dim;
        op.value_heads = v_.value_heads;
        op.value_dim = v_.value_dim;
        op.score = v_.score;
        op.diagonal = diagonal;
        built_.alpha = op.alpha = param("alpha", {v_.heads}, 0.5f, 1.5f);
        auto mask = numbers_.many(v_.heads, 0, 1);
        mask[1 % mask.size()] = 0;
        op.mask = built_.tables->add_param("head_mask", {v_.heads}, mask);
        op.scale = 1 / std::sqrt(static_cast<float>(v_.dim));
        op.window = v_.window;
        op.ball = append.ball;
        op.out = buffer("attended", std::int64_t{v_.heads} * v_.value_dim);
        if (!v_.rows.empty()) {
            const auto wanted = static_cast<std::int64_t>(v_.rows.size());
            op.rows.heads = v_.rows;
            op.rows.logits = buffer("rows.logits", wanted, BufferInfo::Extent::rows_keys);
            op.rows.scores = buffer("rows.scores", wanted, BufferInfo::Extent::rows_keys);
            op.rows.maximum = buffer("rows.maximum", v_.heads);
            op.rows.sum = buffer("rows.sum", v_.heads);
            op.rows.kept = buffer("rows.kept", v_.heads);
            op.rows.entropy = buffer("rows.entropy", v_.heads);
            op.rows.top_keys = buffer("rows.top_keys", std::int64_t{v_.heads} * 8);
            op.rows.top_weights = buffer("rows.top_weights", std::int64_t{v_.heads} * 8);
            for (const BufferId id : {op.rows.logits, op.rows.scores, op.rows.maximum, op.rows.sum,
                                      op.rows.kept, op.rows.entropy, op.rows.top_keys, op.rows.top_weights}) {
                own(id, path);
            }
        }
        add("attention", op, path);
        own(op.out, path);
        if (v_.mode == Ball::Mode::hard && v_.test == Ball::Test::keys) {
            add("kept_share",
                KeptShare{op.distances, op.ball, v_.heads, v_.window, buffer("kept_share", v_.heads)});
        }
        return linear("o", op.out, std::int64_t{v_.heads} * v_.value_dim, width, path, true);
    }

    BufferId add_convolution(BufferId n) {
        constexpr std::int32_t path = 2;
        const BufferId wide = linear("conv.in", n, width, 2 * width, -1, true);
        const BufferId gated = buffer("conv.gated", width);
        add("conv.gate", Gate{wide, wide, gated, width, 0, v_.activation});
        const StateId history = built_.tables->add_state("history", width);
        add("conv.append", Append{gated, history});
        const BufferId filtered = buffer("conv.out", width);
        const WeightId weight = built_.tables->add_weight(
            "conv.w", Tensor::from_floats({width, taps}, numbers_.many(width * taps, 0.6f)));
        add("conv", Convolution{history, weight, vector("conv.b", width, 0.1f), filtered, v_.activation},
            path);
        own(filtered, path);
        return filtered;
    }

    void add_end(BufferId x, BufferId n, BufferId attended, BufferId filtered) {
        Mix mix;
        mix.parts = {linear("plain", n, width, width, 0), attended, filtered, n};
        mix.shares = built_.shares;
        mix.constant_gate = built_.tables->add_weight(
            "gate", Tensor::from_floats({paths, width}, numbers_.many(paths * width, 1)));
        mix.layer_scale = built_.tables->add_weight(
            "ls", Tensor::from_floats({paths, width}, numbers_.many(paths * width, 0.4f, 1)));
        mix.residual = x;
        mix.out = buffer("mixed", width);
        add("mix", mix);
        Mix second;
        second.parts = {mix.out, n};
        second.gate = linear("second.gate", n, width, 2);
        second.gate_width = 1;
        second.layer_scale = vector("second.ls", width, 0.3f, 1);
        second.out = buffer("second", width, BufferInfo::Extent::last_row);
        add("second", second);
        const BufferId last = buffer("last", width, BufferInfo::Extent::last_row);
        add("last.norm",
            Norm{second.out, last, vector("last.w", width, 0.2f, 1), {}, Norm::Kind::rms, 1e-6f});
        const BufferId logits = buffer("logits", vocabulary, BufferInfo::Extent::last_row);
        add("logits", Linear{last, WeightId{0}, {}, logits});
        built_.plan->logits = logits;
    }

    const Variant v_;
    Numbers numbers_;
    Built built_;
};

std::vector<Variant> variants() {
    using Score = Attention::Score;
    std::vector<Variant> all;
    all.push_back({.name = "diagonal, hard keys, rows", .rows = {4, 0, 2}});
    all.push_back({.name = "pairs, self, unrotated, interleaved",
                   .test = Ball::Test::pairs,
                   .fallback = Ball::Fallback::self,
                   .unrotated = true,
                   .radius = 0.7f,
                   .pairing = Rotation::Pairing::interleaved,
                   .rows = {1, 3},
                   .matrices = DType::bf16});
    all.push_back({.name = "pairs, zero fallback",
                   .test = Ball::Test::pairs,
                   .fallback = Ball::Fallback::zero,
                   .radius = 0.5f,
                   .rows = {0, 1, 2, 3, 4},
                   .norm = Norm::Kind::rms,
                   .activation = Activation::relu});
    all.push_back({.name = "soft pairs in the metric, window",
                   .ball_in_metric = true,
                   .mode = Ball::Mode::soft,
                   .test = Ball::Test::pairs,
                   .window = 3,
                   .rows = {2},
                   .matrices = DType::f16,
                   .renormalise = false});
    all.push_back({.name = "cosine, one key head, shared ball",
                   .score = Score::cosine,
                   .heads = 6,
                   .key_heads = 1,
                   .key_heads_in = 1,
                   .dim = 10,
                   .value_heads = 1,
                   .value_dim = 10,
                   .diagonal = false,
                   .shared_ball = true,
                   .radius = 1.6f,
                   .activation = Activation::sigmoid});
    all.push_back({.name = "dot, two key heads, wide values, no ball",
                   .score = Score::dot,
                   .heads = 4,
                   .key_heads = 2,
                   .key_heads_in = 2,
                   .dim = 8,
                   .value_heads = 2,
                   .value_dim = 70,
                   .diagonal = false,
                   .mode = Ball::Mode::off,
                   .rotated = false,
                   .rows = {3}});
    all.push_back({.name = "metric before the rotation, keys spread over heads",
                   .heads = 4,
                   .key_heads = 4,
                   .key_heads_in = 1,
                   .dim = 12,
                   .value_heads = 1,
                   .value_dim = 12,
                   .before = true,
                   .radius = 1.8f,
                   .window = 9,
                   .matrices = DType::bf16});
    return all;
}

/// The step's rows of `values` that path `path` takes, one after the other.
std::vector<float> rows_taken(const std::vector<float>& values, const std::vector<float>& shares,
                              std::int32_t path) {
    const std::size_t rows = shares.size() / paths, stride = values.size() / rows;
    std::vector<float> taken;
    for (std::size_t r = 0; r < rows; ++r) {
        if (shares[r * paths + static_cast<std::size_t>(path)] != 0) {
            taken.insert(taken.end(), values.begin() + static_cast<std::ptrdiff_t>(r * stride),
                         values.begin() + static_cast<std::ptrdiff_t>((r + 1) * stride));
        }
    }
    return taken;
}

} // namespace

class TestVulkanSeam : public QObject {
    Q_OBJECT

  private slots:
    void initTestCase() {
        device_ = software_device();
        QVERIFY2(device_ >= 0, no_driver);
    }

    void same_numbers_data() {
        QTest::addColumn<int>("variant");
        QTest::addColumn<int>("max_rows");
        QTest::addColumn<bool>("stage");
        const auto all = variants();
        for (int i = 0; i < static_cast<int>(all.size()); ++i) {
            QTest::addRow("%s", all[static_cast<std::size_t>(i)].name) << i << 5 << (i == 0);
        }
        QTest::addRow("one row at a time") << 0 << 1 << true;
        QTest::addRow("long prompt") << 1 << 75 << false;
    }

    void same_numbers() {
        QFETCH(int, variant);
        QFETCH(int, max_rows);
        QFETCH(bool, stage);
        const Variant v = variants()[static_cast<std::size_t>(variant)];
        const Built built = Builder(v, max_rows).build();
        std::vector<std::string> messages;
        VulkanOptions options = validated([&](const std::string& message) { messages.push_back(message); });
        options.always_stage = stage;
        {
            Machine cpu(make_cpu_backend(2), built.tables, built.plan, capacity);
            Machine gpu(make_vulkan_backend(device_, options), built.tables, built.plan, capacity);
            StepState step;
            Numbers numbers(static_cast<std::uint32_t>(variant) + 3);
            for (const int rows : {5, 1, 1, 3, 75, 1, 40, 1}) {
                if (rows > max_rows) {
                    continue;
                }
                step.ids.clear();
                for (int r = 0; r < rows; ++r) {
                    step.ids.push_back(
                        static_cast<std::int32_t>((numbers.next() + 1) / 2 * (vocabulary - 1)));
                }
                cpu.run(step);
                gpu.run(step);
                compare(built, cpu, gpu, step);
                step.position += rows;
                if (step.position == 6) { // an intervention reaches the kernels
                    auto alpha = gpu.executor->param(built.alpha);
                    alpha[0] *= -0.5f;
                    cpu.executor->set_param(built.alpha, alpha);
                    gpu.executor->set_param(built.alpha, alpha);
                }
                if (QTest::currentTestFailed()) {
                    return;
                }
            }
            compare_states(*built.tables, cpu, gpu, step.position);
        }
        for (const std::string& message : messages) {
            qWarning("%s", message.c_str());
        }
        QCOMPARE(messages.size(), std::size_t(0));
    }

    void cleanupTestCase() { qInfo("largest relative difference %.2e in %s", worst_, worst_name_.c_str()); }

  private:
    void check(const std::string& name, std::span<const float> a, std::span<const float> b,
               double tolerance) {
        const double difference = relative_difference(a, b);
        if (difference > worst_) {
            worst_ = difference;
            worst_name_ = name;
        }
        if (difference > tolerance) {
            QFAIL(qPrintable(QString("%1 differs by %2").arg(QString::fromStdString(name)).arg(difference)));
        }
    }

    void compare(const Built& built, Machine& cpu, Machine& gpu, const StepState& step) {
        const auto shares = cpu.read(built.shares);
        for (std::int32_t i = 0; i < static_cast<std::int32_t>(built.plan->buffers.size()); ++i) {
            auto a = cpu.read(BufferId{i}), b = gpu.read(BufferId{i});
            const auto guarded = built.guarded.find(i);
            if (guarded != built.guarded.end() && a.size() == b.size()) { // other rows may hold anything
                a = rows_taken(a, shares, guarded->second);
                b = rows_taken(b, shares, guarded->second);
            }
            check(built.plan->buffers[static_cast<std::size_t>(i)].name + " at " +
                      std::to_string(step.position),
                  a, b, 1e-5);
        }
    }

    void compare_states(const Tables& tables, Machine& cpu, Machine& gpu, std::int64_t length) {
        const StateSnapshot a = cpu.executor->export_state(length), b = gpu.executor->export_state(length);
        QCOMPARE(a.states.size(), b.states.size());
        for (std::size_t i = 0; i < a.states.size(); ++i) {
            check("state " + tables.states[i].name, a.states[i], b.states[i], 1e-5);
            const auto read = gpu.executor->read_state(StateId{static_cast<std::int32_t>(i)}, length);
            QCOMPARE(read, b.states[i]);
        }
    }

    int device_ = -1;
    double worst_ = 0;
    std::string worst_name_;
};

QTEST_GUILESS_MAIN(TestVulkanSeam)
#include "test_vulkan_seam.moc"
