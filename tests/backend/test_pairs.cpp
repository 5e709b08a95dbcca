// SPDX-License-Identifier: GPL-3.0-or-later
// Products whose inputs are rounded to 16 bits like their weights: bf16 against plain sums of the rounded
// numbers, whole numbers within what rounding may cost, and only where a plan allows it and 16 bits were
// asked for.
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/kernels.h"
#include "engine/backend/cpu/memory.h"
#include "engine/backend/cpu/tile_rows.h"
#include "engine/backend/reference/reference_backend.h"
#include "engine/base/half.h"
#include "tests/backend/support_plans.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

using namespace ergo;
using namespace ergo::test;

namespace {

struct Kind {
    const char* name;
    const cpu::PairKernels* (*kernels)();
    DType type; // of the weights
    bool words;
};
const Kind kinds[] = {{"bf16", cpu::bf16_pairs, DType::bf16, false},
                      {"words of bf16", cpu::word_pairs, DType::bf16, true},
                      {"words of f16", cpu::word_pairs, DType::f16, true},
                      {"crossed words of bf16", cpu::crossed_word_pairs, DType::bf16, true},
                      {"crossed words of f16", cpu::crossed_word_pairs, DType::f16, true}};

std::size_t count_of(std::int64_t n) {
    return static_cast<std::size_t>(n);
}
std::uint16_t narrow(DType type, float x) {
    return type == DType::bf16 ? f32_to_bf16(x) : f32_to_f16(x);
}
float widen(DType type, std::uint16_t x) {
    return type == DType::bf16 ? bf16_to_f32(x) : f16_to_f32(x);
}

/// A product of random numbers, with what its sums must be and how far they may be off.
struct Example {
    Example(const Kind& of, std::int64_t rows, std::int64_t inputs, std::int64_t outputs, bool interleaved)
        : kind(of), kernels(*of.kernels()),
          random(static_cast<std::uint64_t>(rows * 10007 + inputs * 101 + outputs), 4) {
        weight.resize(count_of(outputs * inputs));
        in.resize(count_of(rows * inputs));
        out.resize(count_of(rows * outputs));
        bias.resize(count_of(outputs));
        for (std::uint16_t& w : weight) {
            w = narrow(kind.type, random.uniform());
        }
        for (float& x : in) {
            x = random.uniform();
        }
        if (kind.words) {
            in[0] = 300; // beside which the others are small
        }
        for (float& b : bias) {
            b = random.uniform();
        }
        for (std::int64_t r = 0; r < rows; ++r) {
            for (std::int64_t o = 0; o < outputs; ++o) {
                expect(in.data() + r * inputs, weight.data() + o * inputs, inputs, bias[count_of(o)]);
            }
            ins.push_back(in.data() + r * inputs);
            outs.push_back(out.data() + r * outputs);
        }
        if (interleaved) {
            cpu::interleave_groups(kind.type, inputs, 0, outputs / cpu::interleave, weight.data());
        }
        args.weight = weight.data();
        args.type = kind.type;
        args.interleaved = interleaved;
        args.bias = bias.data();
        args.activation = Activation::relu;
        args.inputs = inputs;
        args.outputs = outputs;
        args.rows = rows;
        args.in = ins.data();
        args.out = outs.data();
    }

    void expect(const float* x, const std::uint16_t* w, std::int64_t inputs, float b) {
        double sum = static_cast<double>(b), most = 1e-6, size = 0;
        for (std::int64_t first = 0; first < inputs; first += 256) {
            const std::int64_t last = std::min<std::int64_t>(first + 256, inputs);
            double xs = 0, ws = 0, x_squares = 0, w_squares = 0;
            for (std::int64_t i = first; i < last; ++i) {
                const auto weighed = static_cast<double>(widen(kind.type, w[i]));
                const auto given = static_cast<double>(kind.words ? x[i] : bf16_to_f32(f32_to_bf16(x[i])));
                sum += given * weighed;
                size += std::abs(given * weighed);
                xs += std::abs(given);
                ws += std::abs(weighed);
                x_squares += given * given;
                w_squares += weighed * weighed;
            }
            if (kind.words) { // to whole numbers whose squares add up to 32767^2
                const double x_half = std::sqrt(x_squares) * 0.51 / 32767;
                const double w_half = std::sqrt(w_squares) * 0.51 / 32767;
                most += xs * w_half + ws * x_half + static_cast<double>(last - first) * x_half * w_half;
            }
        }
        wanted.push_back(std::max(sum, 0.0));
        away.push_back(kind.words ? most + 1e-6 * size
                                  : 1e-5 * std::sqrt(static_cast<double>(inputs)) + most);
    }

    /// What the weights are rounded by is found beforehand, in pieces of a group.
    void find_extents() {
        extents.assign(count_of(cpu::word_extent_floats(args.outputs, args.inputs)), NAN);
        for (std::int64_t o = 0; o < args.outputs; o += cpu::interleave) {
            kernels.extents(args, o, std::min(o + cpu::interleave, args.outputs), extents.data());
        }
        args.extents = extents.data();
    }

    /// In pieces of `step` outputs, as threads share them.
    std::vector<float> run(std::int64_t step) {
        std::fill(out.begin(), out.end(), NAN);
        const std::int64_t tiles = (args.rows + kernels.rows - 1) / kernels.rows;
        cpu::AlignedFloats packed(count_of(tiles * kernels.tile_floats(args.inputs)));
        for (std::int64_t tile = 0; tile < tiles; ++tile) {
            kernels.pack(args, tile, packed.data());
        }
        for (std::int64_t o = 0; o < args.outputs; o += step) {
            kernels.linear(args, packed.data(), o, std::min(o + step, args.outputs));
        }
        return out;
    }

    Kind kind;
    cpu::PairKernels kernels;
    Case random;
    std::vector<std::uint16_t> weight;
    std::vector<float> in, out, bias, extents;
    std::vector<double> wanted, away;
    std::vector<const float*> ins;
    std::vector<float*> outs;
    cpu::LinearArgs args;
};

} // namespace

class TestPairs : public QObject {
    Q_OBJECT

  private slots:
    void sums_data() {
        QTest::addColumn<int>("kind");
        QTest::addColumn<qlonglong>("rows");
        QTest::addColumn<qlonglong>("inputs");
        QTest::addColumn<qlonglong>("outputs");
        QTest::addColumn<bool>("interleaved");
        for (int kind = 0; kind < static_cast<int>(std::size(kinds)); ++kind) {
            for (const qlonglong rows : {1, 2, 13, 14, 15, 29, 70}) {
                for (const qlonglong inputs : {2, 31, 32, 33, 256, 257, 301, 513}) {
                    for (const qlonglong outputs : {1, 31, 32, 33, 64, 77}) {
                        QTest::addRow("%s, %lld x %lld x %lld", kinds[kind].name, rows, inputs, outputs)
                            << kind << rows << inputs << outputs;
                    }
                }
            }
        }
    }

    // However outputs are shared and weights lie, and whether it is known what they are rounded by, the same
    // bits.
    void sums() {
        QFETCH(int, kind);
        if (!kinds[kind].kernels()) {
            QSKIP("this processor does not multiply such pairs, or not faster than float32");
        }
        QFETCH(qlonglong, rows);
        QFETCH(qlonglong, inputs);
        QFETCH(qlonglong, outputs);
        Example example(kinds[kind], rows, inputs, outputs, false);
        Example interleaved(kinds[kind], rows, inputs, outputs, true);
        const std::vector<float> whole = example.run(outputs), parts = example.run(cpu::interleave);
        const std::vector<float> side_by_side = interleaved.run(outputs);
        QVERIFY(std::memcmp(whole.data(), parts.data(), whole.size() * sizeof(float)) == 0);
        QVERIFY(std::memcmp(whole.data(), side_by_side.data(), whole.size() * sizeof(float)) == 0);
        for (Example* each : {&example, &interleaved}) {
            if (each->kernels.extents) {
                each->find_extents();
                const std::vector<float> known = each->run(outputs);
                QVERIFY(std::memcmp(whole.data(), known.data(), whole.size() * sizeof(float)) == 0);
            }
        }
        for (std::size_t i = 0; i < whole.size(); ++i) {
            const double off = std::abs(static_cast<double>(whole[i]) - example.wanted[i]);
            QVERIFY2(off <= example.away[i], qPrintable(QString("%1: %2 instead of %3, at most %4 away")
                                                            .arg(i)
                                                            .arg(whole[i])
                                                            .arg(example.wanted[i])
                                                            .arg(example.away[i])));
        }
    }

    // One after the other or each asked for by its number: the same, and all rows.
    void tiles_of_rows() {
        for (const std::int64_t most : {1, 6, 12, 14}) {
            for (std::int64_t rows = 1; rows < 300; ++rows) {
                cpu::TileWalk walk(rows, most);
                std::int64_t end = 0;
                for (std::int64_t tile = 0; tile < cpu::tiles_of(rows, most); ++tile) {
                    const cpu::TileRows next = walk.next(), same = cpu::rows_of_tile(rows, most, tile);
                    QVERIFY(next.first == end && next.last > end && next.last - end <= most);
                    QVERIFY(same.first == next.first && same.last == next.last);
                    end = next.last;
                }
                QCOMPARE(end, rows);
            }
        }
    }

    // Three multiplications for four, where no sum of two whole numbers leaves 16 bits, and else four.
    void crossed_are_the_same_data() {
        QTest::addColumn<double>("peak");
        for (const double peak : {0.0, 2.0, 10.0, 15.0, 20.0, 25.0, 30.0, 40.0, 300.0}) {
            QTest::addRow("%g beside numbers up to 1", peak) << peak;
        }
    }
    void crossed_are_the_same() {
        if (!cpu::crossed_word_pairs()) {
            QSKIP("this processor is no faster with three multiplications for four");
        }
        QFETCH(double, peak);
        for (const std::int64_t rows : {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 25}) {
            for (const std::int64_t inputs : {3, 4, 6, 255, 258, 517}) {
                Example example(kinds[2], rows, inputs, 37, true);
                example.in[0] = 0.5f;
                for (std::int64_t r = 0; r < rows; r += 2) { // of either sign, in either of a pair
                    const auto x = static_cast<float>(r % 4 == 0 ? peak : -peak);
                    example.in[count_of(r * inputs + r % inputs)] = x;
                }
                for (std::int64_t i = 0; i < inputs; i += 3) { // an output, and one of the second half
                    example.weight[count_of(i * cpu::interleave)] = narrow(DType::f16, i == 3 ? 60.0f : 0);
                    example.weight[count_of(i * cpu::interleave + 20)] = narrow(DType::f16, -1);
                }
                example.kernels = *cpu::word_pairs();
                const std::vector<float> plain = example.run(37);
                example.kernels = *cpu::crossed_word_pairs();
                const std::vector<float> crossed = example.run(37);
                QVERIFY(std::memcmp(plain.data(), crossed.data(), plain.size() * sizeof(float)) == 0);
            }
        }
    }

    // Numbers that nobody can round: what hangs on them is no number, and nothing else moves.
    void not_numbers() {
        for (const Kind& kind : kinds) {
            if (!kind.kernels()) {
                QSKIP("this processor does not multiply such pairs, or not faster than float32");
            }
            Example example(kind, 3, 300, 33, true);
            example.args.activation = Activation::identity;
            const std::vector<float> before = example.run(33);
            example.in[300 + 7] = std::numeric_limits<float>::quiet_NaN();
            example.in[600 + 270] = std::numeric_limits<float>::infinity();
            const std::vector<float> after = example.run(33);
            for (std::size_t i = 0; i < after.size(); ++i) {
                QVERIFY(i < 33 ? after[i] == before[i] : !std::isfinite(after[i]));
            }
        }
    }

    // A prompt whose plan wants 16 bits, or that runs 16-bit floats because the file has them, stays exact.
    void only_where_allowed() {
        const auto reference = make_reference_backend();
        const auto backend = make_cpu_backend(2);
        for (const DType type : {DType::bf16, DType::f16}) {
            for (const Rounding rounding : {Rounding::bits16, Rounding::bits8}) {
                for (const bool asked : {false, true}) {
                    Case test(7, 40);
                    const BufferId in = test.input(130), out = test.buffer(67);
                    const WeightId weight = test.weight({67, 130}, 0.5f);
                    std::vector<std::uint16_t> halves;
                    for (const float v : test.tables.weights.back().tensor.to_floats()) {
                        halves.push_back(narrow(type, v));
                    }
                    test.tables.weights.back().tensor = halves_tensor(type, {67, 130}, halves);
                    if (asked) {
                        test.tables.weights.back().run_as = type;
                    }
                    test.add(Linear{in, weight, {}, out, {}, rounding});
                    const bool has = cpu::word_pairs() || (type == DType::bf16 && cpu::bf16_pairs());
                    const bool rounded = asked && rounding == Rounding::bits8 && has;
                    QCOMPARE(difference(*reference, *backend, test, {40}, 1e-5).empty(), !rounded);
                    const double close = type == DType::bf16 ? 2e-2 : 2e-3;
                    QCOMPARE(difference(*reference, *backend, test, {40}, close), std::string());
                }
            }
        }
    }

  private:
    static Tensor halves_tensor(DType type, const Shape& shape, const std::vector<std::uint16_t>& halves) {
        auto bytes = std::make_shared<std::vector<std::byte>>(halves.size() * 2);
        std::memcpy(bytes->data(), halves.data(), bytes->size());
        return Tensor(type, shape, *bytes, bytes);
    }
};

QTEST_GUILESS_MAIN(TestPairs)
#include "test_pairs.moc"
