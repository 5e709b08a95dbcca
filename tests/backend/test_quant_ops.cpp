// SPDX-License-Identifier: GPL-3.0-or-later
// Products with weights in whole numbers: on every instruction set of this machine and any number of threads
// the bits of the plain reference.
#include "engine/backend/cpu/kernels_quant.h"
#include "engine/backend/reference/reference_backend.h"
#include "tests/backend/support_grouped.h"

#include <QTest>

#include <cmath>
#include <limits>
#include <memory>
#include <set>

using namespace ergo;
using namespace ergo::test;

namespace {

using Extent = BufferInfo::Extent;

/// Products of one input with a matrix to be rounded to `form`, with and without bias.
Case products(DType form, std::int64_t outputs, std::int64_t inputs) {
    Case test(static_cast<std::uint64_t>(outputs * 1000 + inputs), 70);
    const BufferId in = test.input(inputs), out = test.buffer(outputs), biased = test.buffer(outputs);
    const WeightId weight = test.weight({outputs, inputs}, 0.5f);
    test.tables.weights.back().run_as = form;
    test.add(Linear{in, weight, {}, out, {}});
    test.add(Linear{in, weight, test.weight({outputs}), biased, {}});
    return test;
}

const std::vector<std::int64_t> chunks{1, 2, 3, 7, 70, 1, 13};

std::string quoted(const std::string& name, const std::string& what) {
    return what.empty() ? what : name + ": " + what;
}

} // namespace

class TestQuantOps : public QObject {
    Q_OBJECT

    const std::shared_ptr<Backend> reference_ = make_reference_backend(), cpu_ = make_cpu_backend(2);

    std::string on_every_instruction_set(const Case& test) {
        for (const std::string& name : cpu::quant_instruction_sets()) {
            cpu::use_quant_instruction_set(name);
            const std::string message = quoted(name, difference(*reference_, *cpu_, test, chunks, 0));
            if (!message.empty()) {
                return message;
            }
        }
        return {};
    }

  private slots:
    void cleanup() { cpu::use_quant_instruction_set(""); }

    void instruction_sets() {
        const auto sets = cpu::quant_instruction_sets();
        QVERIFY(!sets.empty());
        QCOMPARE(std::set<std::string>(sets.begin(), sets.end()).size(), sets.size());
        QVERIFY_EXCEPTION_THROWN(cpu::use_quant_instruction_set("MMX"), std::exception);
        qInfo("%zu instruction sets, best %s", sets.size(), sets[0].c_str());
    }

    void products_data() {
        QTest::addColumn<int>("form");
        QTest::addColumn<int>("outputs");
        QTest::addColumn<int>("inputs");
        for (const DType form : {DType::q8, DType::q4}) {
            for (const auto& [outputs, inputs] : {std::pair{1, 1},
                                                  {3, 32},
                                                  {16, 31},
                                                  {17, 33},
                                                  {31, 64},
                                                  {33, 100},
                                                  {48, 96},
                                                  {65, 257},
                                                  {200, 130}}) {
                QTest::addRow("%s %dx%d", dtype_name(form).data(), outputs, inputs)
                    << static_cast<int>(form) << outputs << inputs;
            }
        }
    }

    void products() {
        QFETCH(int, form);
        QFETCH(int, outputs);
        QFETCH(int, inputs);
        const std::string message =
            on_every_instruction_set(::products(static_cast<DType>(form), outputs, inputs));
        QVERIFY2(message.empty(), message.c_str());
    }

    void stored_numbers_data() {
        QTest::addColumn<int>("type");
        for (const DType type : {DType::q8, DType::q4, DType::q8_0, DType::q4_0, DType::q4_1, DType::q5_0}) {
            QTest::addRow("%s", dtype_name(type).data()) << static_cast<int>(type);
        }
    }

    // Nothing is rounded: numbers of -128 (q8) and every nibble pass unchanged.
    void stored_numbers() {
        QFETCH(int, type);
        const auto kind = static_cast<DType>(type);
        Case test(5, 70);
        const std::int64_t inputs = is_grouped(kind) ? 138 : 160;
        const Tensor stored =
            is_grouped(kind) ? grouped_of(kind, 37, inputs, test) : blocks_of(kind, 37, inputs, test);
        const BufferId in = test.input(inputs), out = test.buffer(37);
        test.add(Linear{in, test.tables.add_weight("stored", stored), {}, out, {}});
        const WeightInfo& info = test.tables.weights.back();
        QVERIFY(info.grouped().has_value());
        QCOMPARE(info.values(), stored.to_floats());
        const std::string message = on_every_instruction_set(test);
        QVERIFY2(message.empty(), message.c_str());
    }

    void embedding() {
        for (const DType form : {DType::q8, DType::q4}) {
            Case test(2, 70);
            const BufferId out = test.buffer(70);
            test.add(Embed{test.weight({Case::vocabulary, 70}), out});
            test.tables.weights.back().run_as = form;
            const std::string message = difference(*reference_, *cpu_, test, chunks, 0);
            QVERIFY2(message.empty(), message.c_str());
        }
    }

    void only_the_last_row_and_only_routed_rows() {
        Case test(9, 70);
        const BufferId in = test.input(64), shares = test.shares(3);
        const BufferId last = test.buffer(40, Extent::last_row), routed = test.buffer(40);
        const WeightId weight = test.weight({40, 64});
        test.tables.weights.back().run_as = DType::q8;
        test.add(Linear{in, weight, {}, last, {}});
        test.add(Linear{in, weight, {}, routed, {}}, Guard{shares, 1});
        test.guarded.push_back({routed, Guard{shares, 1}});
        const std::string message = on_every_instruction_set(test);
        QVERIFY2(message.empty(), message.c_str());
    }

    void threads_change_no_bit() {
        const Case test = ::products(DType::q4, 333, 224);
        for (const int threads : {1, 3}) {
            const std::shared_ptr<Backend> other = make_cpu_backend(threads);
            QCOMPARE(difference(*cpu_, *other, test, chunks, 0), std::string());
        }
    }

    // What cannot be rounded stays as useless as it was, and harms its own group and row alone.
    void odd_inputs() {
        const std::int64_t inputs = 70, groups = groups_of(inputs);
        std::vector<float> row(inputs, 0.0f), plain(inputs);
        for (std::size_t i = 0; i < plain.size(); ++i) {
            plain[i] = std::sin(static_cast<float>(i));
        }
        row[0] = 1e-38f; // a group below what has a scale
        row[40] = std::numeric_limits<float>::infinity();
        row[69] = -3;
        const float* rows[] = {row.data(), plain.data()};
        for (const std::string& name : cpu::quant_instruction_sets()) {
            cpu::use_quant_instruction_set(name);
            std::vector<std::byte> memory(cpu::QuantRows::bytes(2, inputs) + 64);
            void* at = memory.data();
            std::size_t room = memory.size();
            const auto to =
                cpu::QuantRows::at(static_cast<std::byte*>(std::align(64, 1, at, room)), 2, inputs);
            cpu::round_rows(rows, inputs, 0, 2, to);
            QCOMPARE(to.scales[0], 0.0f);
            QVERIFY(std::isnan(to.scales[1]));
            QCOMPARE(to.scales[2], 3 * (1.0f / 32512));
            const auto number = [&](std::int64_t at_row, std::int64_t i) { // of its two bytes
                const std::int8_t* both = to.numbers + (at_row * groups + i / 32) * 64 + i % 32;
                return 255 * both[0] + both[32];
            };
            QCOMPARE(number(0, 69), -32512);
            QCOMPARE(to.offsets[2], 128 * 32512);
            for (std::int64_t i = 0; i < inputs; ++i) {
                const float back = to.scales[groups + i / 32] * float(number(1, i));
                QVERIFY(std::abs(back - plain[std::size_t(i)]) <= 0.51f * to.scales[groups + i / 32]);
            }
        }
    }
};

QTEST_APPLESS_MAIN(TestQuantOps)
#include "test_quant_ops.moc"
