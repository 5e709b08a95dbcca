// SPDX-License-Identifier: GPL-3.0-or-later
// Matrices in bf16 and float32 kept in fewer bits: every bit comes back, and products are those of the
// unpacked matrix to the bit, on every instruction set of this machine.
#include "engine/backend/cpu/cpu_backend.h"
#include "engine/backend/cpu/cpu_model.h"
#include "engine/base/half.h"
#include "tests/backend/support_packed.h"
#include "tests/backend/support_plans.h"

#include <QtTest>

#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

using namespace ergo;

namespace {

/// Elements of a type that is packed.
struct Elements {
    DType type;
    std::vector<std::byte> bytes;

    std::size_t size() const { return bytes.size() / dtype_size(type); }
    /// As float32's.
    std::uint32_t bits(std::size_t i) const {
        std::uint32_t bits = 0;
        const std::size_t size = dtype_size(type);
        std::memcpy(&bits, bytes.data() + i * size, size);
        return type == DType::f32 ? bits : bits << 16;
    }
};
constexpr std::array types{DType::bf16, DType::f32};

template <class Body> void on_all_targets(const Body& body) {
    for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
        hwy::SetSupportedTargetsForTest(target);
        hwy::GetChosenTarget().Update(target);
        body();
        hwy::SetSupportedTargetsForTest(0);
        hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    }
}

enum class Numbers {
    normal,  // as weights are
    outlier, // the same, one of 256 a million times as large
    sparse,  // the same, every other one a zero of either sign
    wide,    // exponents all over the range of floats
    all      // every pattern of bits there is: infinities, denormals, what is no number
};
const char* const names[] = {"normal", "outlier", "sparse", "wide", "all"};
constexpr std::array kinds{Numbers::normal, Numbers::outlier, Numbers::sparse, Numbers::wide, Numbers::all};

Elements elements_of(DType type, Numbers kind, std::int64_t count) {
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0, 0.02f);
    std::uniform_real_distribution<float> exponent(-100, 100);
    const std::size_t size = dtype_size(type);
    Elements elements{type, std::vector<std::byte>(static_cast<std::size_t>(count) * size)};
    for (std::size_t i = 0; i < elements.size(); ++i) {
        float number = normal(random);
        if (kind == Numbers::outlier && i % 256 == 77) {
            number *= 1e6f;
        } else if (kind == Numbers::sparse && i % 2 == 0) {
            number = std::copysign(0.0f, number);
        } else if (kind == Numbers::wide) {
            number = std::copysign(std::exp2(exponent(random)), number);
        }
        const std::uint32_t half =
            type == DType::f32 ? std::bit_cast<std::uint32_t>(number) : f32_to_bf16(number);
        const std::uint32_t bits =
            kind == Numbers::all ? static_cast<std::uint32_t>(i * 2654435761u + 1) : half;
        std::memcpy(elements.bytes.data() + i * size, &bits, size);
    }
    return elements;
}

test::Packed packed_of(const Elements& elements, std::int64_t outputs, std::int64_t inputs,
                       bool misaligned = false) {
    std::vector<std::byte> rows(elements.bytes.size() + 1);
    std::byte* const from = rows.data() + (misaligned ? 1 : 0);
    std::memcpy(from, elements.bytes.data(), elements.bytes.size());
    return {elements.type, from, outputs, inputs};
}

/// A product of random rows, with weights as they are told.
struct Product {
    Product(DType type, std::int64_t rows, std::int64_t inputs, std::int64_t outputs)
        : in(static_cast<std::size_t>(rows * inputs)), out(static_cast<std::size_t>(rows * outputs)) {
        std::mt19937 random(7);
        std::generate(in.begin(), in.end(),
                      [&] { return std::uniform_real_distribution<float>(-1, 1)(random); });
        for (std::int64_t r = 0; r < rows; ++r) {
            ins.push_back(in.data() + r * inputs);
            outs.push_back(out.data() + r * outputs);
        }
        args.type = type;
        args.inputs = inputs;
        args.outputs = outputs;
        args.rows = rows;
        args.in = ins.data();
        args.out = outs.data();
    }

    /// In pieces of `step` outputs, as threads share them; by `pairs` where there are any.
    std::vector<float> run(std::int64_t step, const cpu::PairKernels* pairs = nullptr) {
        std::fill(out.begin(), out.end(), NAN);
        const std::int64_t tiles =
            pairs ? (args.rows + pairs->rows - 1) / pairs->rows : cpu::row_tiles(args.rows);
        cpu::AlignedFloats packed(static_cast<std::size_t>(
            tiles * (pairs ? pairs->tile_floats(args.inputs) : cpu::tile_floats(args.inputs))));
        for (std::int64_t tile = 0; tile < tiles; ++tile) {
            pairs ? pairs->pack(args, tile, packed.data()) : cpu::pack_tile(args, tile, packed.data());
        }
        for (std::int64_t o = 0; o < args.outputs; o += step) {
            const std::int64_t end = std::min(o + step, args.outputs);
            if (pairs) {
                pairs->linear(args, packed.data(), o, end);
            } else if (args.rows == 1) {
                cpu::linear_row(args, o, end);
            } else {
                cpu::linear_rows(args, packed.data(), o, end);
            }
        }
        return out;
    }

    std::vector<float> in, out;
    std::vector<const float*> ins;
    std::vector<float*> outs;
    cpu::LinearArgs args;
};

/// Products with a matrix as it is stored and packed, to the bit.
void compare(const Elements& elements, std::int64_t rows, std::int64_t inputs, std::int64_t outputs,
             const cpu::PairKernels* pairs) {
    test::Packed packed = packed_of(elements, outputs, inputs);
    Product product(elements.type, rows, inputs, outputs);
    product.args.weight = elements.bytes.data();
    const std::vector<float> expected = product.run(outputs, pairs);
    packed.give(product.args);
    SAME_BITS(expected, product.run(outputs, pairs));
    SAME_BITS(expected, product.run(cpu::interleave, pairs));
}

using SharedElements = std::shared_ptr<const Elements>;
SharedElements shared_of(DType type, Numbers kind, std::int64_t count) {
    return std::make_shared<const Elements>(elements_of(type, kind, count));
}

WeightId add_elements(Tables& tables, Shape shape, const SharedElements& elements) {
    return tables.add_weight("some", Tensor(elements->type, std::move(shape), elements->bytes, elements));
}

} // namespace

class TestPackedFloats : public QObject {
    Q_OBJECT

  private slots:
    void every_bit_comes_back_data() { both_types(); }
    void every_bit_comes_back();
    void weights_have_few_exceptions_data() { both_types(); }
    void weights_have_few_exceptions();
    void products_are_the_same_data() { shapes(); }
    void products_are_the_same();
    void products_in_pairs_are_the_same_data() { shapes(); }
    void products_in_pairs_are_the_same();
    void a_model_packs_what_it_copies_data() { both_types(); }
    void a_model_packs_what_it_copies();
    void a_model_packs_what_becomes_another_type_data() { both_types(); }
    void a_model_packs_what_becomes_another_type();
    void what_has_another_shape_too_stays_data() { both_types(); }
    void what_has_another_shape_too_stays();
    void numbers_too_different_stay_data() { both_types(); }
    void numbers_too_different_stay();

  private:
    static void both_types() {
        QTest::addColumn<int>("type");
        for (const DType type : types) {
            QTest::newRow(std::string(dtype_name(type)).c_str()) << static_cast<int>(type);
        }
    }
    static void shapes() {
        QTest::addColumn<qlonglong>("inputs");
        QTest::addColumn<qlonglong>("outputs");
        for (const qlonglong inputs : {4, 8, 252, 256, 260, 772}) {
            for (const qlonglong outputs : {1, 31, 32, 33, 77}) {
                QTest::addRow("%lld x %lld", inputs, outputs) << inputs << outputs;
            }
        }
    }
};

void TestPackedFloats::every_bit_comes_back() {
    QFETCH(int, type);
    for (const Numbers kind : kinds) {
        for (const std::int64_t inputs : {4, 8, 36, 252, 256, 260, 512, 772}) {
            for (const std::int64_t outputs : {1, 31, 32, 33, 70}) {
                const Elements elements = elements_of(static_cast<DType>(type), kind, outputs * inputs);
                std::vector<std::byte> first; // what the first instruction set packs
                on_all_targets([&] {
                    test::Packed packed = packed_of(elements, outputs, inputs, outputs % 2 != 0);
                    std::vector<float> row(static_cast<std::size_t>(inputs));
                    for (std::int64_t o = 0; o < outputs; ++o) {
                        cpu::read_packed_row(elements.type, packed.data(), packed.exceptions.data(), o,
                                             inputs, row.data());
                        for (std::int64_t i = 0; i < inputs; ++i) {
                            QCOMPARE(std::bit_cast<std::uint32_t>(row[static_cast<std::size_t>(i)]),
                                     elements.bits(static_cast<std::size_t>(o * inputs + i)));
                        }
                    }
                    std::vector<std::byte> all(
                        packed.data(), packed.data() + cpu::packed_bytes(elements.type, outputs, inputs));
                    const auto list = std::as_bytes(std::span(packed.exceptions));
                    all.insert(all.end(), list.begin(), list.end());
                    first = first.empty() ? all : first;
                    QVERIFY(all == first);
                });
            }
        }
    }
}

void TestPackedFloats::weights_have_few_exceptions() {
    QFETCH(int, type);
    constexpr std::int64_t outputs = 96, inputs = 1024;
    const auto one_of = [&](Numbers kind) {
        const test::Packed packed =
            packed_of(elements_of(static_cast<DType>(type), kind, outputs * inputs), outputs, inputs);
        return double(outputs * inputs) / double(packed.exceptions.size());
    };
    QVERIFY(one_of(Numbers::normal) > 1000);
    QVERIFY(one_of(Numbers::sparse) > 1000);
    QVERIFY(one_of(Numbers::outlier) > 200); // of which one in 256 is meant to be
    QVERIFY(one_of(Numbers::wide) < 2);
}

void TestPackedFloats::products_are_the_same() {
    QFETCH(qlonglong, inputs);
    QFETCH(qlonglong, outputs);
    on_all_targets([&] {
        for (const Numbers kind : {Numbers::normal, Numbers::outlier, Numbers::sparse, Numbers::wide}) {
            for (const std::int64_t rows : {1, 2, 12, 15, 29}) {
                for (const DType type : types) {
                    compare(elements_of(type, kind, outputs * inputs), rows, inputs, outputs, nullptr);
                }
            }
        }
    });
}

void TestPackedFloats::products_in_pairs_are_the_same() {
    QFETCH(qlonglong, inputs);
    QFETCH(qlonglong, outputs);
    if (!cpu::bf16_pairs() && !cpu::word_pairs()) {
        QSKIP("this processor does not multiply in pairs, or not faster than float32");
    }
    for (const cpu::PairKernels* pairs : {cpu::bf16_pairs(), cpu::word_pairs(), cpu::crossed_word_pairs()}) {
        for (const Numbers kind : {Numbers::normal, Numbers::outlier, Numbers::sparse}) {
            for (const std::int64_t rows : {2, 15, 29}) {
                if (pairs) {
                    compare(elements_of(DType::bf16, kind, outputs * inputs), rows, inputs, outputs, pairs);
                }
            }
        }
    }
}

void TestPackedFloats::a_model_packs_what_it_copies() {
    QFETCH(int, type);
    const auto dtype = static_cast<DType>(type);
    constexpr std::int64_t outputs = 3000, inputs = 516; // several pieces
    const SharedElements elements = shared_of(dtype, Numbers::normal, outputs * inputs);
    const SharedElements others = shared_of(dtype, Numbers::normal, 5000);
    Tables tables;
    const WeightId matrix = add_elements(tables, {outputs, inputs}, elements);
    const WeightId tied = add_elements(tables, {outputs, inputs}, elements);
    const WeightId odd = add_elements(tables, {100, 50}, others);
    const auto shared = std::make_shared<const Tables>(tables);
    for (const int threads : {1, 3}) {
        ThreadPool pool(threads);
        const cpu::CpuModel model(shared, 1u << 30, {}, {}, &pool);
        const cpu::CpuWeight& weight = model.weight(matrix);
        QVERIFY(weight.packed);
        QVERIFY(!model.weight(odd).packed && model.weight(odd).interleaved); // 50 is no multiple of 4
        QCOMPARE(model.weight(tied).data, weight.data);
        QCOMPARE(model.weight(tied).exceptions, weight.exceptions);
        QCOMPARE(weight.bytes(), std::uint64_t(cpu::packed_bytes(dtype, outputs, inputs)));
        QVERIFY(double(weight.bytes()) <
                (dtype == DType::bf16 ? 0.77 : 0.89) * double(elements->bytes.size()));
        QCOMPARE(model.weight_bytes(), weight.bytes() + others->bytes.size());
        SAME_BITS(tables.weights[0].tensor.to_floats(), std::span(model.floats(matrix), elements->size()));
        const std::uint64_t announced = cpu::need(tables, 1u << 30, threads, 16, {}).weights;
        const std::uint64_t taken =
            model.taken().weights - elements->size() * sizeof(float); // floats() above
        QVERIFY(taken >= announced && double(taken) < 1.01 * double(announced));
    }
    const cpu::CpuModel mapped(shared, 1000, {}, {}); // more than may be copied
    QVERIFY(!mapped.weight(matrix).packed);
    QCOMPARE(mapped.weight(matrix).data, elements->bytes.data());
}

void TestPackedFloats::a_model_packs_what_becomes_another_type() {
    QFETCH(int, type);
    const auto to = static_cast<DType>(type), from = to == DType::bf16 ? DType::f32 : DType::bf16;
    for (const std::int64_t outputs : {32, 120, 3000}) {
        Tables tables;
        const SharedElements elements = shared_of(from, Numbers::normal, outputs * 264);
        const WeightId id = add_elements(tables, {outputs, 264}, elements);
        tables.weights.back().run_as = to;
        const cpu::CpuModel model(std::make_shared<const Tables>(tables), 1u << 30, {}, {});
        QVERIFY(model.weight(id).packed);
        QCOMPARE(model.weight(id).type, to);
        QCOMPARE(model.weight(id).inputs_rounded, to == DType::bf16);
        std::vector<float> expected;
        for (const float number : tables.weights[0].tensor.to_floats()) {
            expected.push_back(to == DType::bf16 ? bf16_to_f32(f32_to_bf16(number)) : number);
        }
        SAME_BITS(expected, std::span(model.floats(id), expected.size()));
    }
}

void TestPackedFloats::what_has_another_shape_too_stays() {
    QFETCH(int, type);
    const SharedElements elements = shared_of(static_cast<DType>(type), Numbers::normal, 64 * 64);
    Tables tables;
    const WeightId one = add_elements(tables, {64, 64}, elements);
    const WeightId other = add_elements(tables, {128, 32}, elements);
    const cpu::CpuModel model(std::make_shared<const Tables>(tables), 1u << 30, {}, {});
    for (const WeightId id : {one, other}) {
        QVERIFY(!model.weight(id).packed);
        SAME_BITS(tables.weights[0].tensor.to_floats(), std::span(model.floats(id), elements->size()));
    }
}

void TestPackedFloats::numbers_too_different_stay() {
    QFETCH(int, type);
    constexpr std::int64_t outputs = 3000, inputs = 256;
    const SharedElements wide = shared_of(static_cast<DType>(type), Numbers::wide, outputs * inputs);
    const SharedElements normal = shared_of(static_cast<DType>(type), Numbers::normal, outputs * inputs);
    Tables tables;
    const WeightId before = add_elements(tables, {outputs, inputs}, normal);
    const WeightId stays = add_elements(tables, {outputs, inputs}, wide);
    const WeightId tied = add_elements(tables, {outputs, inputs}, wide);
    const cpu::CpuModel model(std::make_shared<const Tables>(tables), 1u << 30, {}, {});
    QVERIFY(model.weight(before).packed);
    for (const WeightId id : {stays, tied}) {
        QVERIFY(!model.weight(id).packed && model.weight(id).interleaved);
        QCOMPARE(model.weight(id).data, model.weight(stays).data);
        QCOMPARE(model.weight(id).bytes(), wide->bytes.size());
        SAME_BITS(tables.weights[1].tensor.to_floats(), std::span(model.floats(id), wide->size()));
    }
    QCOMPARE(model.weight_bytes(), model.weight(before).bytes() + wide->bytes.size());
    SAME_BITS(tables.weights[0].tensor.to_floats(), std::span(model.floats(before), normal->size()));
}

QTEST_GUILESS_MAIN(TestPackedFloats)
#include "test_packed_floats.moc"
