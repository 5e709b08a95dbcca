// SPDX-License-Identifier: GPL-3.0-or-later
// Attention of one token over a long context: its keys shared among workgroups, against the same in one
// workgroup, the CPU and the reference. Also what a step costs in dispatches and bytes.
#include "engine/backend/reference/reference_backend.h"
#include "engine/backend/vulkan/attention_parts.h"
#include "support_vulkan.h"

#include <QtTest>

using namespace ergo;
using namespace ergo::test;

namespace {

constexpr std::int64_t capacity = 1300, filled = 1200;

struct Variant {
    const char* name;
    Attention::Score score = Attention::Score::dot;
    std::int32_t heads = 4, key_heads = 2, dim = 6, value_heads = 2, value_dim = 10;
    Ball::Mode mode = Ball::Mode::off;
    Ball::Fallback fallback = Ball::Fallback::unpruned;
    float radius = 1; ///< of distances in [0, 2)
    std::int64_t window = 0;
};

const Variant variants[] = {
    {"dot"},
    {"vectors of whole quads", Attention::Score::dot, 3, 3, 8, 3, 80},
    {"distance", Attention::Score::negative_squared_distance, 5, 5, 7, 5, 3},
    {"cosine, one key head", Attention::Score::cosine, 6, 1, 4, 1, 4},
    {"gravity", Attention::Score::gravity, 2, 2, 16, 2, 16},
    {"hard ball", Attention::Score::negative_squared_distance, 4, 4, 5, 4, 5, Ball::Mode::hard},
    {"soft ball", Attention::Score::dot, 4, 4, 5, 4, 5, Ball::Mode::soft},
    {"nothing in the ball, all keys", Attention::Score::dot, 4, 4, 5, 4, 5, Ball::Mode::hard,
     Ball::Fallback::unpruned, -1},
    {"nothing in the ball, itself", Attention::Score::dot, 4, 4, 5, 4, 5, Ball::Mode::hard,
     Ball::Fallback::self, -1},
    {"nothing in the ball, nothing", Attention::Score::dot, 4, 4, 5, 4, 5, Ball::Mode::hard,
     Ball::Fallback::zero, -1},
    {"window", Attention::Score::dot, 4, 2, 6, 2, 10, Ball::Mode::off, Ball::Fallback::unpruned, 1, 700},
};

/// One attention over states that are filled from outside; its query is an embedding.
struct Built {
    std::shared_ptr<Tables> tables = std::make_shared<Tables>();
    std::shared_ptr<Plan> plan = std::make_shared<Plan>();
    Attention op;
    StateSnapshot states;
};

Built build(const Variant& v, bool captured) {
    Built b;
    Numbers numbers(5);
    b.plan->max_rows = 1;
    Attention& op = b.op;
    op.query = b.plan->add_buffer("query", v.heads * v.dim);
    const auto table = numbers.many(3 * v.heads * v.dim, 1);
    b.plan->add(
        {"embed",
         {},
         Embed{b.tables->add_weight("table", Tensor::from_floats({3, v.heads * v.dim}, table)), op.query}});
    const auto state = [&](const char* name, std::int64_t width, float scale, float middle) {
        b.states.states.push_back(numbers.many(filled * width, scale, middle));
        return b.tables->add_state(name, width);
    };
    b.states.length = filled;
    op.keys = state("keys", v.key_heads * v.dim, 1, 0);
    op.values = state("values", v.value_heads * v.value_dim, 1, 0);
    op.heads = v.heads, op.key_heads = v.key_heads, op.dim = v.dim;
    op.value_heads = v.value_heads, op.value_dim = v.value_dim;
    op.score = v.score;
    op.window = v.window;
    op.scale = 0.7f;
    if (v.score == Attention::Score::gravity) {
        op.gravity.mass = b.tables->add_param("mass", {v.heads}, numbers.many(v.heads, 0.5f, 1));
    }
    if (v.mode != Ball::Mode::off) {
        op.ball.mode = v.mode;
        op.ball.fallback = v.fallback;
        op.ball.origin = b.tables->add_param("origin", {v.dim}, numbers.many(v.dim, 1));
        op.ball.radius = b.tables->add_param("radius", {1}, {v.radius});
        op.distances = state("distances", v.heads, 1, 1);
    }
    op.out = b.plan->add_buffer("out", v.heads * v.value_dim);
    if (captured) {
        op.rows.maximum = b.plan->add_buffer("maximum", v.heads);
        op.rows.sum = b.plan->add_buffer("sum", v.heads);
        op.rows.kept = b.plan->add_buffer("kept", v.heads);
        op.rows.entropy = b.plan->add_buffer("entropy", v.heads);
        op.rows.logits = b.plan->add_buffer("logits", v.heads, BufferInfo::Extent::rows_keys);
        op.rows.top_weights = b.plan->add_buffer("top_weights", v.heads * 8);
        op.rows.top_keys = b.plan->add_buffer("top_keys", v.heads * 8);
    }
    b.plan->add({"attention", {}, op});
    return b;
}

} // namespace

class TestVulkanSplit : public QObject {
    Q_OBJECT

  private slots:
    void initTestCase() {
        const int device = software_device();
        QVERIFY2(device >= 0, no_driver);
        VulkanOptions options;
        options.validation = true;
        options.on_validation = [this](const std::string& m) { messages_ << QString::fromStdString(m); };
        split_ = make_vulkan_backend(device, options);
        options.no_fusion = true;
        options.serialise = true;
        whole_ = make_vulkan_backend(device, options);
        cpu_ = make_cpu_backend(1);
        reference_ = make_reference_backend();
    }

    void parts_for_few_heads_and_many_keys() {
        Attention op;
        op.heads = 4;
        QCOMPARE(vulkan::attention_parts(op, 1, 256), 1u);
        QCOMPARE(vulkan::attention_parts(op, 1, 1300), 5u);
        QCOMPARE(vulkan::attention_parts(op, 1, 1 << 17), 32u);
        QCOMPARE(vulkan::attention_parts(op, 64, 1 << 17), 1u); // the rows are groups enough
        op.heads = 64;
        QCOMPARE(vulkan::attention_parts(op, 1, 1 << 17), 4u);
        op.heads = 1000;
        QCOMPARE(vulkan::attention_parts(op, 1, 1 << 17), 1u);
        op.heads = 4;
        op.window = 512;
        QCOMPARE(vulkan::attention_parts(op, 1, 1 << 17), 2u);
    }

    void agrees_data() {
        QTest::addColumn<int>("index");
        QTest::addColumn<bool>("captured");
        for (std::size_t i = 0; i < std::size(variants); ++i) { // compiling kernels is what takes time
            const bool captured = i % 2 == 0;
            QTest::addRow("%s%s", variants[i].name, captured ? ", captured" : "") << int(i) << captured;
        }
    }
    void agrees() {
        QFETCH(int, index);
        QFETCH(bool, captured);
        const Built b = build(variants[index], captured);
        Machine split(split_, b.tables, b.plan, capacity);
        Machine cpu(cpu_, b.tables, b.plan, capacity), reference(reference_, b.tables, b.plan, capacity);
        const std::vector<Machine*> machines{&split, &cpu, &reference};
        for (Machine* machine : machines) {
            machine->executor->import_state(b.states);
        }
        for (const std::int64_t position : {0, 255, 256, 700, 1199}) {
            for (Machine* machine : machines) {
                machine->run({position, {static_cast<std::int32_t>(position % 3)}});
            }
            for (std::size_t i = 0; i < b.plan->buffers.size(); ++i) {
                const BufferId id{static_cast<std::int32_t>(i)};
                if (id == b.op.rows.top_keys) {
                    continue; // equal weights may come in another order
                }
                const auto expected = reference.read(id);
                for (Machine* machine : {&split, &cpu}) {
                    const double difference = relative_difference(expected, machine->read(id));
                    QVERIFY2(difference < 2e-5, qPrintable(QString("%1 at %2: %3")
                                                               .arg(b.plan->buffers[i].name.c_str())
                                                               .arg(position)
                                                               .arg(difference)));
                }
            }
        }
    }

    /// The diagnostic switches give the same numbers, with as many dispatches as the plan has ops.
    void as_planned() {
        const Built b = build(variants[0], false);
        Machine split(split_, b.tables, b.plan, capacity), whole(whole_, b.tables, b.plan, capacity);
        for (Machine* machine : {&split, &whole}) {
            machine->executor->import_state(b.states);
            machine->run({1000, {1}});
        }
        QVERIFY(relative_difference(split.read(b.op.out), whole.read(b.op.out)) < 2e-5);
        QCOMPARE(whole.executor->counters().dispatches, std::uint64_t(2));
        QCOMPARE(split.executor->counters().dispatches, std::uint64_t(3));
    }

    void a_step_tells_what_it_costs() {
        const Built b = build(variants[0], false);
        Machine machine(split_, b.tables, b.plan, capacity);
        machine.executor->import_state(b.states);
        const auto moved = [&](std::int64_t position) {
            const std::uint64_t before = machine.executor->counters().bytes_moved;
            machine.run({position, {1}});
            return machine.executor->counters().bytes_moved - before;
        };
        const std::uint64_t key_bytes = (2 * 6 + 2 * 10) * sizeof(float); // of keys and values
        QCOMPARE(moved(700) - moved(200), 500 * key_bytes);
        const Counters counters = machine.executor->counters();
        QCOMPARE(counters.dispatches, std::uint64_t(2 * 3));
        QCOMPARE(counters.submissions, std::uint64_t(2)); // a small token is one submission
        QCOMPARE(counters.host_ops, std::uint64_t(0));
    }

    void cleanupTestCase() {
        split_.reset();
        whole_.reset();
        QCOMPARE(messages_, QStringList());
    }

  private:
    QStringList messages_;
    std::shared_ptr<Backend> split_, whole_, cpu_, reference_;
};

QTEST_GUILESS_MAIN(TestVulkanSplit)
#include "test_vulkan_split.moc"
