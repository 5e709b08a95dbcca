// SPDX-License-Identifier: GPL-3.0-or-later
// Products with weights in whole numbers: on every instruction set of this machine and any number of threads
// the bits of the plain reference.
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/cpu_sizes.h"
#include "engine/backend/cpu/kernels_quant.h"
#include "engine/backend/reference/reference_backend.h"
#include "tests/backend/support_grouped.h"

#include <QTest>

#include <hwy/highway.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <memory>

using namespace ergo;
using namespace ergo::test;

namespace {

using Extent = BufferInfo::Extent;

/// Products of one input with a matrix to be rounded to `form`, with and without bias; they run as one op.
Case products(DType form, std::int64_t outputs, std::int64_t inputs, Rounding rounding) {
    Case test(static_cast<std::uint64_t>(outputs * 1000 + inputs), 70);
    const BufferId in = test.input(inputs), out = test.buffer(outputs), biased = test.buffer(outputs);
    const WeightId weight = test.weight({outputs, inputs}, 0.5f);
    test.tables.weights.back().run_as = form;
    test.add(Linear{in, weight, {}, out, {}, rounding});
    test.add(Linear{in, weight, test.weight({outputs}), biased, {}, rounding});
    return test;
}

const std::vector<std::int64_t> chunks{1, 2, 3, 7, 70, 1, 13};

std::string quoted(const std::string& name, const std::string& what) {
    return what.empty() ? what : name + ": " + what;
}

/// Every instruction set that the kernels are compiled for and this machine has, AVX-512 with and without
/// VNNI; use(name, vnni) returns what is wrong.
std::string on_every_instruction_set(const std::function<std::string(const std::string&, bool)>& use) {
    std::string message;
    for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
        hwy::SetSupportedTargetsForTest(target);
        hwy::GetChosenTarget().Update(target);
        const std::string name = hwy::TargetName(target);
        if (message.empty()) {
            message = quoted(name, use(name, false));
        }
        if (message.empty() && cpu::has_vnni()) {
            message = quoted(name + " with VNNI", use(name, true));
        }
        hwy::SetSupportedTargetsForTest(0);
        hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    }
    return message;
}

} // namespace

class TestQuantOps : public QObject {
    Q_OBJECT

    const std::shared_ptr<Backend> reference_ = make_reference_backend(), cpu_ = make_cpu_backend(2);

    std::string on_every_instruction_set(const Case& test) {
        return ::on_every_instruction_set([&](const std::string&, bool vnni) {
            return difference(*reference_, *cpu::make_backend(2, vnni), test, chunks, 0);
        });
    }

  private slots:
    void instruction_sets() {
        QVERIFY(!hwy::SupportedAndGeneratedTargets().empty());
        const auto backend = cpu::make_backend(1, cpu::has_vnni());
        QCOMPARE(backend->info().backend, std::string("cpu"));
    }

    void products_data() {
        QTest::addColumn<int>("form");
        QTest::addColumn<int>("outputs");
        QTest::addColumn<int>("inputs");
        QTest::addColumn<int>("bits"); // of the rounded inputs
        for (const DType form : {DType::q8, DType::q4}) {
            for (const auto& [outputs, inputs] : {std::pair{1, 1},
                                                  {3, 32},
                                                  {16, 31},
                                                  {17, 33},
                                                  {31, 64},
                                                  {33, 100},
                                                  {48, 96},
                                                  {65, 257},
                                                  {40, 1100},
                                                  {200, 130}}) {
                for (const int bits : {8, 16}) {
                    QTest::addRow("%s %dx%d, inputs of %d bits", dtype_name(form).data(), outputs, inputs,
                                  bits)
                        << static_cast<int>(form) << outputs << inputs << bits;
                }
            }
        }
    }

    void products() {
        QFETCH(int, form);
        QFETCH(int, outputs);
        QFETCH(int, inputs);
        QFETCH(int, bits);
        const std::string message = on_every_instruction_set(::products(
            static_cast<DType>(form), outputs, inputs, bits == 8 ? Rounding::bits8 : Rounding::bits16));
        QVERIFY2(message.empty(), message.c_str());
    }

    void stored_numbers_data() { test::add_stored_types(); }

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

    void blocks_as_they_are_data() {
        QTest::addColumn<int>("type");
        QTest::addColumn<int>("outputs");
        QTest::addColumn<int>("inputs");
        QTest::addColumn<int>("bits"); // of the rounded inputs
        for (const DType type : {DType::q4_0, DType::q4_k, DType::q5_k, DType::q6_k}) {
            for (const auto& [outputs, inputs] :
                 {std::pair{1, 256}, {16, 512}, {17, 256}, {33, 768}, {65, 1280}, {200, 256}, {47, 2304}}) {
                for (const int bits : {8, 16}) {
                    QTest::addRow("%s %dx%d, inputs of %d bits", dtype_name(type).data(), outputs, inputs,
                                  bits)
                        << static_cast<int>(type) << outputs << inputs << bits;
                }
            }
        }
    }

    // Nothing of the weights is rounded, and what runs as one op may be of several types.
    void blocks_as_they_are() {
        QFETCH(int, type);
        QFETCH(int, outputs);
        QFETCH(int, inputs);
        QFETCH(int, bits);
        const Rounding rounding = bits == 8 ? Rounding::bits8 : Rounding::bits16;
        Case test(static_cast<std::uint64_t>(outputs), 70);
        const BufferId in = test.input(inputs), out = test.buffer(outputs), biased = test.buffer(outputs),
                       other = test.buffer(21);
        const Tensor stored = blocks_of(static_cast<DType>(type), outputs, inputs, test);
        const WeightId weight = test.tables.add_weight("stored", stored);
        const WeightInfo& info = test.tables.weights.back();
        const DType whole = static_cast<DType>(type) == DType::q4_0 ? DType::q4 : static_cast<DType>(type);
        QCOMPARE(info.whole_numbers(), std::optional(whole));
        QCOMPARE(info.values(), stored.to_floats());
        QCOMPARE(cpu::run_type(info), static_cast<DType>(type));
        const std::uint64_t held = cpu::run_bytes(stored.dtype(), outputs, inputs);
        QVERIFY(held * 100 <= std::uint64_t{103} * stored.byte_size() *
                                  std::uint64_t((outputs + 15) / 16 * 16) / std::uint64_t(outputs));
        test.add(Linear{in, weight, {}, out, {}, rounding});
        test.add(Linear{in, weight, test.weight({outputs}), biased, {}, rounding});
        const Tensor beside = blocks_of(DType::q8_0, 21, inputs, test);
        test.add(Linear{in, test.tables.add_weight("beside", beside), {}, other, {}, rounding});
        const std::string message = ::on_every_instruction_set([&](const std::string&, bool vnni) {
            return difference(*reference_, *cpu::make_backend(2, vnni), test, chunks, 0);
        });
        QVERIFY2(message.empty(), message.c_str());
    }

    // The numbers of the format themselves: what a product says of an input of one 1 is a column of the
    // matrix.
    void blocks_of_256_are_the_formats_numbers() {
        for (const DType type : {DType::q4_k, DType::q5_k, DType::q6_k}) {
            constexpr std::int64_t outputs = 35, inputs = 512;
            Case random(3);
            const Tensor stored = blocks_of(type, outputs, inputs, random);
            const std::vector<float> expected = stored.to_floats();
            const std::int64_t bytes = cpu::strip_bytes(type, inputs);
            std::vector<std::byte> strips(static_cast<std::size_t>(bytes * cpu::strips_of(outputs)));
            for (std::int64_t s = 0; s < cpu::strips_of(outputs); ++s) {
                cpu::pack_strip(stored, type, s, strips.data() + s * bytes);
            }
            std::vector<float> row(inputs);
            for (std::int64_t o = 0; o < outputs; ++o) {
                cpu::unpack_row(strips.data(), type, o, row);
                SAME_BITS(row, std::span(expected).subspan(static_cast<std::size_t>(o * inputs), inputs));
            }
        }
    }

    void table_and_tied_head_in_blocks_of_256() {
        for (const DType type : {DType::q4_k, DType::q6_k}) {
            Case test(2, 513);
            const BufferId out = test.buffer(256), head = test.buffer(Case::vocabulary);
            const WeightId table =
                test.tables.add_weight("table", blocks_of(type, Case::vocabulary, 256, test));
            test.add(Embed{table, out});
            test.add(Linear{out, table, {}, head, {}, Rounding::bits8});
            test.plan.logits = head;
            constexpr std::int64_t capacity = 514;
            Running plain = start(*reference_, test, capacity);
            const std::vector<float> rows = run(plain, test, 0, 513), row = run(plain, test, 513, 1);
            const std::string message = ::on_every_instruction_set([&](const std::string&, bool vnni) {
                Running running = start(*cpu::make_backend(2, vnni), test, capacity);
                const std::string prompt = bit_difference(rows, run(running, test, 0, 513));
                return prompt.empty() ? bit_difference(row, run(running, test, 513, 1)) : prompt;
            });
            QVERIFY2(message.empty(), message.c_str());
        }
    }

    // A file may hold any bytes: scales that are not finite make their own outputs useless and no others.
    void any_bytes_are_blocks() {
        for (const DType type : {DType::q4_k, DType::q5_k, DType::q6_k}) {
            constexpr std::int64_t outputs = 20, inputs = 256;
            Case test(4, 3);
            const Tensor sound = blocks_of(type, outputs, inputs, test);
            std::vector<std::byte> bytes(sound.bytes().begin(), sound.bytes().end());
            const std::size_t size = block_bytes(type);
            std::fill_n(bytes.data() + 2 * size, size, std::byte{0xff}); // scale NaN
            put_half(INFINITY, bytes.data() + 5 * size + (type == DType::q6_k ? 208 : 0));
            const auto owner = kept(std::move(bytes));
            const BufferId in = test.input(inputs), out = test.buffer(outputs);
            test.plan.logits = out;
            test.add(Linear{in,
                            test.tables.add_weight("hostile", Tensor(type, {outputs, inputs}, *owner, owner)),
                            {},
                            out,
                            {},
                            Rounding::bits8});
            Running plain = start(*reference_, test);
            const std::vector<float> expected = run(plain, test, 0, 3);
            QVERIFY(std::isnan(expected[2]) && !std::isfinite(expected[5]) && std::isfinite(expected[19]));
            const std::string message = ::on_every_instruction_set([&](const std::string&, bool vnni) {
                Running running = start(*cpu::make_backend(2, vnni), test);
                const std::vector<float> got = run(running, test, 0, 3);
                for (std::size_t i = 0; i < got.size(); ++i) {
                    if (std::isnan(expected[i]) ? !std::isnan(got[i]) : got[i] != expected[i]) {
                        return "output " + std::to_string(i);
                    }
                }
                return std::string();
            });
            QVERIFY2(message.empty(), message.c_str());
        }
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
        const Case test = ::products(DType::q4, 333, 224, Rounding::bits8);
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
        const auto check = [&](bool vnni, Rounding rounding) -> std::string {
            const bool bytes = vnni && rounding == Rounding::bits8;
            const int most = rounding == Rounding::bits8 ? 127 : 32767;
            std::vector<std::byte> memory(cpu::QuantRows::bytes_for(2, inputs) + 64);
            void* at = memory.data();
            std::size_t room = memory.size();
            const auto to =
                cpu::QuantRows::at(static_cast<std::byte*>(std::align(64, 1, at, room)), 2, inputs, bytes,
                                   {.sums = true, .offsets = true, .halves = true});
            cpu::round_rows(rows, inputs, rounding, 0, 2, to);
            const auto number = [&](std::int64_t at_row, std::int64_t i) -> int {
                const std::byte* group = to.numbers + (at_row * groups + i / 32) * (bytes ? 32 : 64);
                if (bytes) {
                    return static_cast<std::int8_t>(group[i % 32]);
                }
                constexpr int place[] = {0, 2, 1, 3}; // in which the kernels read them
                std::int16_t q = 0;
                std::memcpy(&q, group + 2 * (i % 32 / 4 * 4 + place[i % 4]), sizeof q);
                return q;
            };
            if (to.scales[0] != 0 || !std::isnan(to.scales[1]) || to.scales[2] != 3 * (1.0f / float(most)) ||
                number(0, 69) != -most || to.offsets[2] != 128 * most) {
                return "wrong scale, number or offset";
            }
            for (std::int64_t i = 0; i < inputs; ++i) {
                const float scale = to.scales[groups + i / 32];
                if (!(std::abs(scale * float(number(1, i)) - plain[std::size_t(i)]) <= 0.51f * scale)) {
                    return "input " + std::to_string(i) + " is not the nearest number";
                }
            }
            return {};
        };
        const std::string message = ::on_every_instruction_set([&](const std::string&, bool vnni) {
            const std::string coarse = check(vnni, Rounding::bits8);
            return coarse.empty() ? check(vnni, Rounding::bits16) : coarse;
        });
        QVERIFY2(message.empty(), message.c_str());
    }
};

QTEST_APPLESS_MAIN(TestQuantOps)
#include "test_quant_ops.moc"
