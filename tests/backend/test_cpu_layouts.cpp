// SPDX-License-Identifier: GPL-3.0-or-later
// However keys and values lie in memory, and in whatever type: what is remembered gives the same bits again.
#include "engine/backend/cpu/kernels.h"
#include "tests/backend/support_plans.h"

#include <QtTest>

#include <cmath>
#include <limits>
#include <numeric>

using namespace ergo;
using test::Case;
using test::run;
using test::Running;

namespace {

// An attention whose states say what heads they have, in each of the layouts that follow from it.
struct Laid {
    struct Shape {
        int heads, key_heads, dim;
    };
    Laid(Shape shape, DType stored) {
        const std::int64_t key_width = shape.key_heads * shape.dim;
        const bool own = shape.key_heads == shape.heads;
        AppendKeyValue append;
        append.key = test.input(key_width);
        append.value = test.input(key_width);
        append.heads = append.heads_in = append.value_heads = shape.key_heads;
        append.dim = append.value_dim = shape.dim;
        append.keys = test.tables.add_state("keys", key_width, {shape.key_heads, shape.dim, false, own});
        append.values = test.tables.add_state("values", key_width, {shape.key_heads, shape.dim, true, own});
        Attention attention;
        if (own) {
            append.ball.mode = Ball::Mode::hard;
            append.ball.origin = test.param({shape.heads, shape.dim}, 0.2f);
            append.ball.radius = test.param({shape.heads}, 0.1f, 0.5f * std::sqrt(shape.dim));
            append.distances =
                test.tables.add_state("distances", shape.heads, {shape.heads, shape.dim, false, own});
            attention.ball = append.ball;
            attention.distances = append.distances;
        }
        for (const StateId id : {append.keys, append.values}) {
            test.tables.states[static_cast<std::size_t>(id.index)].stored = stored;
        }
        test.add(append);
        attention.query = test.input(shape.heads * shape.dim);
        attention.keys = append.keys;
        attention.values = append.values;
        attention.heads = shape.heads;
        attention.key_heads = attention.value_heads = shape.key_heads;
        attention.dim = attention.value_dim = shape.dim;
        attention.diagonal = test.param({shape.heads, shape.dim}, 0.5f, 1);
        attention.out = test.plan.logits = test.buffer(shape.heads * shape.dim);
        test.add(attention);
    }
    Case test{3, 48};
};

} // namespace

class TestCpuLayouts : public QObject {
    Q_OBJECT

  private slots:
    void interleaving_moves_every_element();
    void change_no_bit_data();
    void change_no_bit();
};

void TestCpuLayouts::change_no_bit_data() {
    QTest::addColumn<int>("heads");
    QTest::addColumn<int>("key_heads");
    QTest::addColumn<int>("dim");
    QTest::addColumn<int>("stored");
    QTest::newRow("blocks and rows") << 4 << 2 << 32 << static_cast<int>(DType::f32);
    QTest::newRow("blocks, each its own") << 3 << 3 << 5 << static_cast<int>(DType::f32);
    QTest::newRow("side by side") << 32 << 32 << 8 << static_cast<int>(DType::f32);
    for (const DType type : {DType::bf16, DType::q8}) {
        QTest::addRow("%s", dtype_name(type).data()) << 4 << 2 << 64 << static_cast<int>(type);
        QTest::addRow("%s, each its own", dtype_name(type).data()) << 3 << 3 << 32 << static_cast<int>(type);
    }
}

// Tokens or chunks, any threads, after a rewind or an import, whatever stale rows hold: the same bits.
void TestCpuLayouts::change_no_bit() {
    QFETCH(int, heads);
    QFETCH(int, key_heads);
    QFETCH(int, dim);
    QFETCH(int, stored);
    const Laid laid({heads, key_heads, dim}, static_cast<DType>(stored));
    const auto backend = make_cpu_backend(1);
    Running one = test::start(*backend, laid.test);
    std::vector<float> expected;
    for (std::int64_t t = 0; t < 130; ++t) {
        const auto row = run(one, laid.test, t, 1);
        expected.insert(expected.end(), row.begin(), row.end());
    }
    const StateSnapshot snapshot = one.executor->export_state(130);
    StateSnapshot poison = snapshot;
    for (auto& state : poison.states) {
        std::fill(state.begin(), state.end(), std::numeric_limits<float>::quiet_NaN());
    }
    for (const int threads : {1, 2, 3}) {
        const auto other = make_cpu_backend(threads);
        Running running = test::start(*other, laid.test);
        running.executor->import_state(poison);
        std::vector<float> rows;
        for (std::int64_t t = 0; t < 130;) {
            const std::int64_t count = std::min<std::int64_t>(1 + (t * 7) % 48, 130 - t);
            const auto some = run(running, laid.test, t, count);
            rows.insert(rows.end(), some.begin(), some.end());
            t += count;
        }
        SAME_BITS(expected, rows);
        const StateSnapshot again = running.executor->export_state(130);
        for (std::size_t s = 0; s < again.states.size(); ++s) {
            SAME_BITS(snapshot.states[s], again.states[s]);
        }
    }
    Running restored = test::start(*backend, laid.test);
    restored.executor->import_state(snapshot);
    const auto row = run(restored, laid.test, 77, 1);
    SAME_BITS(std::span(expected).subspan(77 * row.size(), row.size()), row);
}

// Every element where kernels.h says it is, whatever the number of inputs leaves over.
void TestCpuLayouts::interleaving_moves_every_element() {
    const auto check = [](DType type, auto first, std::int64_t inputs) {
        using T = decltype(first);
        constexpr std::int64_t groups = 3;
        std::vector<T> rows(static_cast<std::size_t>(groups * cpu::interleave * inputs));
        std::iota(rows.begin(), rows.end(), first);
        std::vector<T> moved = rows;
        cpu::interleave_groups(type, inputs, 1, groups, moved.data()); // not the first group
        for (std::int64_t at = 0; at < groups * cpu::interleave * inputs; ++at) {
            const std::int64_t group = at / (cpu::interleave * inputs), in = at % (cpu::interleave * inputs);
            const std::int64_t i = in / cpu::interleave, o = in % cpu::interleave;
            const std::int64_t from = group == 0 ? at : (group * cpu::interleave + o) * inputs + i;
            QCOMPARE(moved[static_cast<std::size_t>(at)], rows[static_cast<std::size_t>(from)]);
        }
    };
    for (const std::int64_t inputs : {1, 3, 4, 7, 8, 9, 31, 64, 100, 512}) {
        check(DType::bf16, std::uint16_t{1}, inputs);
        check(DType::f32, std::uint32_t{1}, inputs);
    }
}

QTEST_GUILESS_MAIN(TestCpuLayouts)
#include "test_cpu_layouts.moc"
