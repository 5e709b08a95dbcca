// SPDX-License-Identifier: GPL-3.0-or-later
// Products whose inputs are rounded to bf16 like their weights: against plain sums of the rounded numbers,
// and only where a plan allows it and bf16 was asked for.
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/kernels.h"
#include "engine/backend/reference/reference_backend.h"
#include "engine/base/half.h"
#include "tests/backend/support_plans.h"

#include <QTest>

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace ergo;
using namespace ergo::test;

namespace {

/// A product of random numbers, with what its sums must be.
struct Example {
    Example(std::int64_t rows, std::int64_t inputs, std::int64_t outputs, bool interleaved)
        : random(static_cast<std::uint64_t>(rows * 10007 + inputs * 101 + outputs), 4) {
        const auto count = [](std::int64_t n) { return static_cast<std::size_t>(n); };
        weight.resize(count(outputs * inputs));
        in.resize(count(rows * inputs));
        out.resize(count(rows * outputs));
        bias.resize(count(outputs));
        for (std::uint16_t& w : weight) {
            w = f32_to_bf16(random.uniform());
        }
        for (float& x : in) {
            x = random.uniform();
        }
        for (float& b : bias) {
            b = random.uniform();
        }
        for (std::int64_t r = 0; r < rows; ++r) {
            for (std::int64_t o = 0; o < outputs; ++o) {
                double sum = bias[count(o)];
                for (std::int64_t i = 0; i < inputs; ++i) {
                    sum += static_cast<double>(bf16_to_f32(f32_to_bf16(in[count(r * inputs + i)]))) *
                           static_cast<double>(bf16_to_f32(weight[count(o * inputs + i)]));
                }
                wanted.push_back(std::max(sum, 0.0));
            }
            ins.push_back(in.data() + r * inputs);
            outs.push_back(out.data() + r * outputs);
        }
        if (interleaved) {
            cpu::interleave_groups(DType::bf16, inputs, 0, outputs / cpu::interleave, weight.data());
        }
        args.weight = weight.data();
        args.type = DType::bf16;
        args.interleaved = interleaved;
        args.bias = bias.data();
        args.activation = Activation::relu;
        args.inputs = inputs;
        args.outputs = outputs;
        args.rows = rows;
        args.in = ins.data();
        args.out = outs.data();
    }

    /// In pieces of `step` outputs, as threads share them.
    std::vector<float> run(std::int64_t step) {
        std::fill(out.begin(), out.end(), NAN);
        const std::int64_t tiles = cpu::pair_tiles(args.rows);
        std::vector<float> packed(static_cast<std::size_t>(tiles * cpu::pair_tile_floats(args.inputs)));
        for (std::int64_t tile = 0; tile < tiles; ++tile) {
            cpu::pack_pairs(args, tile, packed.data());
        }
        for (std::int64_t o = 0; o < args.outputs; o += step) {
            cpu::linear_pairs(args, packed.data(), o, std::min(o + step, args.outputs));
        }
        return out;
    }

    Case random;
    std::vector<std::uint16_t> weight;
    std::vector<float> in, out, bias;
    std::vector<double> wanted;
    std::vector<const float*> ins;
    std::vector<float*> outs;
    cpu::LinearArgs args;
};

} // namespace

class TestBf16Pairs : public QObject {
    Q_OBJECT

  private slots:
    void sums_data() {
        QTest::addColumn<qlonglong>("rows");
        QTest::addColumn<qlonglong>("inputs");
        QTest::addColumn<qlonglong>("outputs");
        QTest::addColumn<bool>("interleaved");
        for (const qlonglong rows : {1, 2, 13, 14, 15, 29, 70}) {
            for (const qlonglong inputs : {1, 2, 31, 32, 33, 256, 257, 301}) {
                for (const qlonglong outputs : {1, 31, 32, 33, 64, 77}) {
                    for (const bool interleaved : {false, true}) {
                        QTest::addRow("%lld x %lld x %lld%s", rows, inputs, outputs,
                                      interleaved ? ", interleaved" : "")
                            << rows << inputs << outputs << interleaved;
                    }
                }
            }
        }
    }

    void sums() {
        if (!cpu::has_bf16_pairs()) {
            QSKIP("this processor does not multiply pairs of bf16, or not faster than float32");
        }
        QFETCH(qlonglong, rows);
        QFETCH(qlonglong, inputs);
        QFETCH(qlonglong, outputs);
        QFETCH(bool, interleaved);
        Example example(rows, inputs, outputs, interleaved);
        const std::vector<float> whole = example.run(outputs), parts = example.run(cpu::interleave);
        QVERIFY(std::memcmp(whole.data(), parts.data(), whole.size() * sizeof(float)) == 0);
        for (std::size_t i = 0; i < whole.size(); ++i) {
            const double off = std::abs(static_cast<double>(whole[i]) - example.wanted[i]);
            QVERIFY2(off <= 1e-5 * std::sqrt(static_cast<double>(inputs)) + 1e-6,
                     qPrintable(QString("%1: %2 instead of %3").arg(i).arg(whole[i]).arg(example.wanted[i])));
        }
    }

    // A prompt whose plan wants 16 bits, or that runs bf16 because the file has it, stays exact.
    void only_where_allowed() {
        const auto reference = make_reference_backend();
        const auto backend = make_cpu_backend(2);
        for (const Rounding rounding : {Rounding::bits16, Rounding::bits8}) {
            for (const bool asked : {false, true}) {
                Case test(7, 40);
                const BufferId in = test.input(130), out = test.buffer(67);
                const WeightId weight = test.weight({67, 130}, 0.5f);
                std::vector<float> values = test.tables.weights.back().tensor.to_floats();
                std::vector<std::uint16_t> halves;
                for (const float v : values) {
                    halves.push_back(f32_to_bf16(v));
                }
                test.tables.weights.back().tensor = bf16_tensor({67, 130}, halves);
                if (asked) {
                    test.tables.weights.back().run_as = DType::bf16;
                }
                test.add(Linear{in, weight, {}, out, {}, rounding});
                const bool rounded = asked && rounding == Rounding::bits8 && cpu::has_bf16_pairs();
                QCOMPARE(difference(*reference, *backend, test, {40}, 1e-5).empty(), !rounded);
                QCOMPARE(difference(*reference, *backend, test, {40}, 2e-2), std::string());
            }
        }
    }

  private:
    static Tensor bf16_tensor(const Shape& shape, const std::vector<std::uint16_t>& halves) {
        auto bytes = std::make_shared<std::vector<std::byte>>(halves.size() * 2);
        std::memcpy(bytes->data(), halves.data(), bytes->size());
        return Tensor(DType::bf16, shape, *bytes, bytes);
    }
};

QTEST_GUILESS_MAIN(TestBf16Pairs)
#include "test_bf16_pairs.moc"
