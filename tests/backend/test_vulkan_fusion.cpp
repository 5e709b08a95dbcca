// SPDX-License-Identifier: GPL-3.0-or-later
// Ops that one dispatch computes together: the same numbers as one by one, fewer dispatches, and nothing is
// joined where somebody could see the difference. On the software device, validated.
#include "engine/backend/reference/reference_backend.h"
#include "engine/backend/vulkan/fusion.h"
#include "support_plans.h"
#include "support_vulkan.h"

#include <QtTest>

#include <functional>
#include <set>

using namespace ergo;
using namespace ergo::test;

namespace {

using Extent = BufferInfo::Extent;

/// A case whose inner buffers only its ops read.
class Joined : public Case {
  public:
    explicit Joined(std::int64_t rows, DType type = DType::f32) : Case(3, rows), type_(type) {}

    BufferId inner(std::int64_t width, Extent extent = Extent::rows) {
        const BufferId id = buffer(width, extent);
        inner_.insert(id.index);
        return id;
    }
    /// Every other buffer is read when all is done.
    Joined finished(bool all = false) && {
        for (std::int32_t i = 0; i < static_cast<std::int32_t>(plan.buffers.size()); ++i) {
            if (all || !inner_.contains(i)) {
                plan.taps.push_back({0, BufferId{i}});
                plan.logits = BufferId{i};
            }
        }
        return std::move(*this);
    }
    WeightId matrix(std::int64_t outputs, std::int64_t inputs) {
        const WeightId id = weight({outputs, inputs}, 0.5f);
        if (type_ != DType::f32) {
            tables.weights.back().run_as = type_;
        }
        return id;
    }
    BufferId product(BufferId in, std::int64_t inputs, BufferId out, bool biased = false, Guard when = {},
                     Activation activation = Activation::identity) {
        const std::int64_t outputs = plan.buffers[static_cast<std::size_t>(out.index)].width;
        add(Linear{in, matrix(outputs, inputs), biased ? weight({outputs}) : WeightId{}, out, activation},
            when);
        return out;
    }
    BufferId norm(BufferId in, BufferId out, std::int64_t width, Norm::Kind kind = Norm::Kind::rms,
                  std::int32_t heads = 1, bool biased = false) {
        Norm op{in, out, weight({width}, 0.3f, 1), {}, kind};
        op.bias = biased ? weight({width}) : WeightId{};
        op.heads = heads;
        add(op);
        return out;
    }

  private:
    DType type_;
    std::set<std::int32_t> inner_;
};

/// A layer of a transformer: normed queries and keys, gated products, residuals.
Joined layer(std::int64_t rows, std::int64_t width, DType type, bool head_norms, bool all_read = false) {
    Joined t(rows, type);
    constexpr std::int32_t heads = 3, key_heads = 1, dim = 10;
    const BufferId x = t.input(width), n = t.norm(x, t.inner(width), width);
    AppendKeyValue kv;
    kv.key = t.product(n, width, t.inner(key_heads * dim), true);
    if (head_norms) {
        t.norm(kv.key, kv.key, dim, Norm::Kind::rms, key_heads);
    }
    kv.value = t.product(n, width, t.inner(key_heads * dim), true);
    kv.heads = kv.heads_in = kv.value_heads = key_heads;
    kv.dim = kv.value_dim = dim;
    kv.rotation.cos = t.weight({256, dim});
    kv.rotation.sin = t.weight({256, dim});
    kv.keys = t.state(key_heads * dim);
    kv.values = t.state(key_heads * dim);
    t.add(kv);
    Rotate turn;
    turn.in = t.product(n, width, t.inner(heads * dim), true);
    if (head_norms) {
        t.norm(turn.in, turn.in, dim, Norm::Kind::rms, heads);
    }
    turn.heads = turn.heads_in = heads;
    turn.dim = dim;
    turn.rotation = kv.rotation;
    turn.out = t.inner(heads * dim);
    t.add(turn);
    Attention body;
    body.query = turn.out;
    body.keys = kv.keys;
    body.values = kv.values;
    body.heads = heads;
    body.key_heads = body.value_heads = key_heads;
    body.dim = body.value_dim = dim;
    body.score = Attention::Score::dot;
    body.out = t.inner(heads * dim);
    t.add(body);
    Mix sum;
    sum.parts = {t.product(body.out, heads * dim, t.inner(width))};
    sum.residual = x;
    sum.out = t.buffer(width);
    t.add(sum);
    const BufferId m = t.norm(sum.out, t.inner(width), width);
    Gate gate;
    gate.a = t.product(m, width, t.inner(70));
    gate.b = t.product(m, width, t.inner(70));
    gate.out = gate.a;
    t.add(gate);
    Mix last;
    last.parts = {t.product(gate.out, 70, t.inner(width), true, {}, Activation::gelu)};
    last.residual = last.out = sum.out;
    t.add(last);
    return std::move(t).finished(all_read);
}

/// Depth routing and a mixture of routed paths, each followed by a norm; guarded gates; an Append.
Joined mixture(std::int64_t rows, std::int64_t width, Norm::Kind kind) {
    Joined t(rows);
    const BufferId a = t.input(width), b = t.input(width), shares = t.shares(2);
    DepthRoute depth;
    depth.sources = {a, b};
    depth.query = t.weight({width});
    depth.out = t.inner(width);
    t.add(depth);
    const BufferId n = t.norm(depth.out, t.inner(width), width);
    t.add(Append{t.product(n, width, t.inner(width)), t.state(width)});
    t.add(Append{n, t.state(width)});
    const Guard first{shares, 0}, second{shares, 1};
    Gate gate;
    gate.a = t.product(n, width, t.inner(24), false, first);
    gate.b = t.product(n, width, t.inner(24), false, first);
    gate.out = t.inner(24);
    gate.activation = Activation::gelu_tanh;
    t.add(gate, first);
    Mix mix;
    mix.parts = {t.product(gate.out, 24, t.inner(width), false, first),
                 t.product(n, width, t.inner(width), true, second)};
    mix.shares = shares;
    mix.layer_scale = t.weight({2, width});
    mix.residual = a;
    mix.out = t.buffer(width);
    t.add(mix);
    const BufferId after = t.norm(mix.out, t.buffer(width), width, kind, 1, kind == Norm::Kind::layer);
    t.product(after, width, t.buffer(9, Extent::last_row));
    return std::move(t).finished();
}

} // namespace

class TestVulkanFusion : public QObject {
    Q_OBJECT

    std::shared_ptr<Backend> reference_ = make_reference_backend(), joined_, alone_;
    std::vector<std::string> messages_;

    std::uint64_t dispatches(Backend& backend, const Case& test) {
        Running running = start(backend, test);
        running.executor->run(*running.program, step_at(0, 1), {});
        return running.executor->counters().dispatches;
    }

    /// `fewer`: dispatches a token. `reference`: with the plain reference, else with the same device op by
    /// op.
    void agree(const std::function<Joined(std::int64_t rows)>& made, std::uint64_t fewer, bool reference) {
        for (const auto& [max_rows, chunks] :
             {std::pair{std::int64_t{1}, std::vector<std::int64_t>{1, 1, 1, 1}},
              std::pair{std::int64_t{40}, std::vector<std::int64_t>{40, 1, 33, 5}}}) {
            const Case test = made(max_rows);
            const std::shared_ptr<Backend>& other = reference ? reference_ : alone_;
            const std::string message = difference(*other, *joined_, test, chunks, 2e-5);
            QVERIFY2(message.empty(), message.c_str());
            const std::uint64_t alone = dispatches(*alone_, test), joined = dispatches(*joined_, test);
            QVERIFY2(joined < alone, qPrintable(QString("%1 of %2").arg(joined).arg(alone)));
            if (max_rows == 1) {
                QCOMPARE(alone - joined, fewer);
            }
        }
        QCOMPARE(messages_.size(), std::size_t(0));
    }

    static vulkan::Stored plain(WeightId) { return vulkan::Stored::f32; }

  private slots:
    void initTestCase() {
        const int device = software_device();
        QVERIFY2(device >= 0, no_driver);
        VulkanOptions options = validated([this](const std::string& m) { messages_.push_back(m); });
        joined_ = make_vulkan_backend(device, options);
        options.no_fusion = true;
        alone_ = make_vulkan_backend(device, options);
    }

    void layers_data() {
        QTest::addColumn<int>("width");
        QTest::addColumn<int>("type");
        QTest::addColumn<bool>("head_norms");
        for (const int width : {37, 64}) {
            for (const DType type : {DType::f32, DType::bf16, DType::f16, DType::q8, DType::q4}) {
                if (width == 64 && (type == DType::bf16 || type == DType::f16)) {
                    continue;
                }
                QTest::addRow("%d %s", width, dtype_name(type).data())
                    << width << static_cast<int>(type) << (width == 37);
            }
        }
    }

    void layers() {
        QFETCH(int, width);
        QFETCH(int, type);
        QFETCH(bool, head_norms);
        const auto form = static_cast<DType>(type);
        // norm + k + v + q, turns (keys, values, queries; two norms), o + sum, norm + gate + up + act, down +
        // sum
        agree([&](std::int64_t rows) { return layer(rows, width, form, head_norms); }, head_norms ? 12 : 10,
              !is_grouped(form)); // whose inputs the reference rounds
    }

    void mixtures() {
        for (const auto kind : {Norm::Kind::layer, Norm::Kind::rms}) {
            // depth + norm, two Appends, gate + up + act, mix + norm
            agree([&](std::int64_t rows) { return mixture(rows, 45, kind); }, 5, true);
        }
    }

    // Buffers that anyone may read are all written: nothing is left out, whatever could be joined.
    void what_is_read_is_written() {
        const Joined test = layer(1, 37, DType::f32, false, true);
        const std::string message = difference(*reference_, *joined_, test, {1, 1, 1});
        QVERIFY2(message.empty(), message.c_str());
    }

    // A value that a second op reads, an input that changes in between: nothing may be joined.
    void what_must_stay_apart() {
        const auto steps = [](Joined& test) {
            test = std::move(test).finished();
            return vulkan::joined_steps(test.plan, plain).size();
        };
        {
            Joined t(1); // the first factor is read again
            const BufferId x = t.input(16);
            Gate gate;
            gate.a = t.product(x, 16, t.inner(8));
            gate.b = t.product(t.product(x, 16, t.inner(16)), 16, t.inner(8));
            gate.out = t.inner(8);
            t.add(gate);
            t.product(gate.a, 8, t.buffer(5));
            QCOMPARE(steps(t), t.plan.ops.size() - 1); // two products of x
        }
        {
            Joined t(1); // the residual changes between the product and the sum
            const BufferId x = t.input(16), r = t.buffer(16);
            t.product(x, 16, r);
            const BufferId y = t.product(r, 16, t.inner(16));
            t.norm(r, r, 16, Norm::Kind::layer);
            Mix sum;
            sum.parts = {y};
            sum.residual = r;
            sum.out = r;
            t.add(sum);
            QCOMPARE(steps(t), t.plan.ops.size());
            const std::string message = difference(*reference_, *joined_, t, {1, 1});
            QVERIFY2(message.empty(), message.c_str());
        }
        {
            Joined t(1); // the input is written anew between two products of it
            const BufferId x = t.input(16), n = t.inner(16), a = t.buffer(4), b = t.buffer(4);
            t.norm(x, n, 16);
            t.product(n, 16, a);
            t.norm(x, n, 16, Norm::Kind::layer);
            t.product(n, 16, b);
            QCOMPARE(steps(t), t.plan.ops.size() - 1); // the first norm and its product
            const std::string message = difference(*reference_, *joined_, t, {1, 1});
            QVERIFY2(message.empty(), message.c_str());
        }
        {
            Joined t(1); // other guards
            const BufferId x = t.input(16), shares = t.shares(2);
            t.product(x, 16, t.inner(4), false, {shares, 0});
            t.product(x, 16, t.inner(4), false, {shares, 1});
            t.product(x, 16, t.inner(4));
            QCOMPARE(steps(t), t.plan.ops.size());
        }
        QCOMPARE(messages_.size(), std::size_t(0));
    }

    void cleanupTestCase() {
        joined_.reset(); // destruction is validated as well
        alone_.reset();
        for (const std::string& message : messages_) {
            qWarning("%s", message.c_str());
        }
        QCOMPARE(messages_.size(), std::size_t(0));
    }
};

QTEST_GUILESS_MAIN(TestVulkanFusion)
#include "test_vulkan_fusion.moc"
