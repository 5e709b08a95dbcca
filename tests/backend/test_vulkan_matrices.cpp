// SPDX-License-Identifier: GPL-3.0-or-later
// Products of prompts by cooperative matrices. No device at hand has any: the kernel's other half, everything
// but the instructions themselves, runs on the software device with fragments emulated, with the validation
// layer. A kernel earns its use: one that is slower or wrong is refused with the reason.
#include "engine/backend/reference/reference_backend.h"
#include "engine/backend/vulkan/matrices.h"
#include "support_products.h"
#include "support_vulkan.h"

#include <QtTest>

#include <functional>
#include <memory>

using namespace ergo;
using namespace ergo::test;

namespace {

using Emulated = VulkanOptions::EmulatedMatrices;
using State = MatrixUse::State;

constexpr double tolerance = 2e-5;         // sums in another order
constexpr double rounded_tolerance = 2e-3; // inputs rounded to 11 bits

AddMatrix stored_as(DType type, float scale = 0.5f) {
    return [type, scale](Case& test, Size size) {
        const Shape shape{size.outputs, size.inputs};
        return type == DType::f32 ? test.weight(shape, scale) : test.weight(shape, type, false, scale);
    };
}

bool uses_matrices(Backend& backend, const Case& test) {
    return uses_kernel(backend, test, "matmul_emulated");
}

Case small(DType type) {
    Case test(7, 8);
    const BufferId in = test.input(64), out = test.buffer(20);
    test.add(product(test, stored_as(type), in, {20, 64}, out));
    return test;
}

} // namespace

class TestVulkanMatrices : public QObject {
    Q_OBJECT
    int device_ = -1;
    std::shared_ptr<Backend> reference_ = make_reference_backend(), matrices_;
    std::vector<std::string> messages_;

    VulkanOptions options(const Emulated& emulated, double handicap = 1e6) {
        VulkanOptions made = validated([this](const std::string& m) { messages_.push_back(m); });
        made.emulated_matrices = emulated;
        made.plain_handicap = handicap;
        return made;
    }

    void agree(Backend& backend, const Case& test, double within = tolerance) {
        QVERIFY(uses_matrices(backend, test));
        const std::string message = difference(*reference_, backend, test, {3, 64, 70, 1, 13}, within);
        QVERIFY2(message.empty(), message.c_str());
    }

    static void types() {
        QTest::addColumn<int>("type");
        QTest::newRow("f32") << static_cast<int>(DType::f32);
        QTest::newRow("bf16") << static_cast<int>(DType::bf16);
        QTest::newRow("f16") << static_cast<int>(DType::f16);
    }

  private slots:
    void initTestCase() {
        device_ = software_device();
        QVERIFY2(device_ >= 0, no_driver);
        matrices_ = make_vulkan_backend(device_, options({}));
    }

    void products_data() {
        QTest::addColumn<int>("type");
        QTest::addColumn<int>("outputs");
        QTest::addColumn<int>("inputs");
        for (const auto& [name, type] :
             {std::pair("f32", DType::f32), std::pair("bf16", DType::bf16), std::pair("f16", DType::f16)}) {
            for (const auto& [outputs, inputs] : {std::pair(3, 70), std::pair(130, 132)}) {
                QTest::addRow("%s %d x %d", name, outputs, inputs)
                    << static_cast<int>(type) << outputs << inputs;
            }
        }
    }
    void products() {
        QFETCH(int, type);
        QFETCH(int, outputs);
        QFETCH(int, inputs);
        agree(*matrices_, two_products(stored_as(static_cast<DType>(type)), {outputs, inputs}, 70));
    }

    /// A gate of two products, a residual, and a product that only some rows need.
    void joined_with_others_data() { types(); }
    void joined_with_others() {
        QFETCH(int, type);
        agree(*matrices_, joined_products(stored_as(static_cast<DType>(type)), false, 70));
    }

    /// Beyond what 16-bit floats hold at either end, in inputs and in weights, also when the first inputs do
    /// not show it.
    void extremes_data() { types(); }
    void extremes() {
        QFETCH(int, type);
        const auto form = static_cast<DType>(type);
        for (const float scale : {1e-20f, 1e6f}) {
            Case test(6, 70);
            const BufferId in = test.input(70, scale), out = test.buffer(30);
            test.add(Linear{in, stored_as(form, 3e4f)(test, {30, 70}), {}, out, {}, Rounding::bits8});
            agree(*matrices_, test);
        }
        for (const float late : {1e-8f, 1e8f}) { // the first 40 inputs are 0
            Case test(9, 70);
            std::vector<float> table = test.numbers(Case::vocabulary * 100, late);
            for (std::size_t i = 0; i < table.size(); ++i) {
                table[i] = i % 100 < 40 ? 0 : table[i];
            }
            const BufferId in = test.buffer(100), out = test.buffer(30);
            test.add(Embed{
                test.tables.add_weight("late", Tensor::from_floats({Case::vocabulary, 100}, table)), in});
            test.add(Linear{in, stored_as(form)(test, {30, 100}), {}, out, {}, Rounding::bits8});
            agree(*matrices_, test);
        }
    }

    /// What devices offer, and groups of invocations of other sizes.
    void shapes_data() {
        QTest::addColumn<int>("rows");
        QTest::addColumn<int>("columns");
        QTest::addColumn<int>("depth");
        QTest::addColumn<int>("invocations");
        QTest::newRow("8 x 16 x 16 of 16") << 8 << 16 << 16 << 16;
    }
    void shapes() {
        QFETCH(int, rows);
        QFETCH(int, columns);
        QFETCH(int, depth);
        QFETCH(int, invocations);
        const auto number = [](int n) { return static_cast<std::uint32_t>(n); };
        const auto backend = make_vulkan_backend(
            device_, options({number(rows), number(columns), number(depth), number(invocations), false}));
        for (const DType type : {DType::f32}) {
            Case test(11, 70);
            const BufferId in = test.input(75);
            test.add(product(test, stored_as(type), in, {90, 75}, test.buffer(90), true));
            agree(*backend, test);
        }
    }

    void bf16_by_name_is_one_product() {
        Case test(5, 70);
        const BufferId in = test.input(100), out = test.buffer(77);
        test.add(product(test, stored_as(DType::bf16), in, {77, 100}, out));
        test.tables.weights.back().run_as = DType::bf16;
        agree(*matrices_, test, rounded_tolerance);
        // Rounding shows, so it was not two.
        QVERIFY(!difference(*reference_, *matrices_, test, {64}, 2e-6).empty());
    }

    void what_needs_more_bits_is_computed_otherwise() {
        for (const bool grouped : {false, true}) {
            Case test(4, 8);
            const BufferId in = test.input(64), out = test.buffer(20);
            Linear linear = product(test, stored_as(DType::f32), in, {20, 64}, out);
            if (grouped) {
                test.tables.weights.back().run_as = DType::q8;
            } else {
                linear.rounding = Rounding::bits16; // a router, queries and keys of gravity
            }
            test.add(linear);
            QVERIFY(!uses_matrices(*matrices_, test));
        }
        const DeviceInfo info = make_vulkan_backend(device_, options({}))->info();
        QVERIFY(info.matrices.state == State::untried && info.has_matrices);
    }

    void right_and_faster_is_used() {
        const DeviceInfo info = matrices_->info();
        QVERIFY(info.matrices.state == State::used && info.has_matrices);
        QCOMPARE(info.matrices.gains.size(), std::size_t(3));
        QCOMPARE(info.matrices.gains[0].weights, std::string("bf16 by name"));
        for (const MatrixUse::Gain& gain : info.matrices.gains) {
            QVERIFY2(gain.used && gain.times > 1, gain.weights.c_str());
        }
    }

    void slower_is_refused() {
        const auto backend = make_vulkan_backend(device_, options({}, 1e-6));
        QVERIFY(!uses_matrices(*backend, small(DType::f32)));
        const DeviceInfo info = backend->info();
        QVERIFY(info.matrices.state == State::slower && !info.has_matrices);
        for (const MatrixUse::Gain& gain : info.matrices.gains) {
            QVERIFY2(!gain.used && gain.times < 1, gain.weights.c_str());
        }
    }

    void wrong_is_refused() {
        Emulated wrong;
        wrong.wrong = true;
        const auto backend = make_vulkan_backend(device_, options(wrong));
        QVERIFY(!uses_matrices(*backend, small(DType::f32)));
        const DeviceInfo info = backend->info();
        QVERIFY(info.matrices.state == State::wrong && !info.has_matrices);
        QCOMPARE(info.matrices.type, std::string("bf16"));
        QVERIFY(info.matrices.difference > info.matrices.allowed && info.matrices.allowed > 0);
        Case test = small(DType::f32);
        QCOMPARE(QString::fromStdString(difference(*reference_, *backend, test, {5}, tolerance)), QString());
    }

    void switched_off() {
        VulkanOptions off = options({});
        off.no_cooperative_matrix = true;
        const auto backend = make_vulkan_backend(device_, off);
        QVERIFY(!uses_matrices(*backend, small(DType::f32)));
        QVERIFY(backend->info().matrices.state == State::switched_off);
        QVERIFY(backend->info().has_matrices); // so that they can be switched on again
    }

    void a_device_without_says_so() {
        const DeviceInfo info = make_vulkan_backend(device_, {})->info();
        QVERIFY(info.matrices.state == State::not_there && !info.has_matrices);
    }

    /// Layouts for what drivers list.
    void layouts() {
        using namespace vulkan;
        const auto nvidia = best_tiling({{16, 8, 8}, {16, 8, 16}, {16, 16, 16}}, 32, 48 << 10);
        QVERIFY(nvidia && nvidia->shape.columns == 16 && nvidia->down == 2 && nvidia->across == 2);
        QCOMPARE(nvidia->depth(Splitting::two, false), 32u);
        QCOMPARE(tiling_of({16, 16, 16}, 32, 32 << 10)->depth(Splitting::three, true), 16u); // less room
        QVERIFY(!tiling_of({16, 16, 16}, 32, 16 << 10));                                     // none
        const auto wide = tiling_of({16, 16, 16}, 64, 64 << 10);
        QVERIFY(wide && wide->down * wide->across == 8);
        const auto intel = tiling_of({8, 16, 16}, 16, 64 << 10);
        QVERIFY(intel && intel->down * intel->across == 4);
        for (const MatrixShape& odd : {MatrixShape{0, 0, 0},
                                       {12, 16, 16},
                                       {16, 16, 4},
                                       {16, 16, 64},
                                       {64, 64, 16},
                                       {16, 16, 0},
                                       {128, 16, 16}}) {
            QVERIFY(!tiling_of(odd, 32, 64 << 10));
        }
        QVERIFY(!tiling_of({8, 8, 16}, 128, 64 << 10)); // not an element each
        QVERIFY(!tiling_of({16, 16, 16}, 0, 64 << 10));
        QVERIFY(!best_tiling({}, 32, 64 << 10));
    }

    void cleanupTestCase() {
        matrices_.reset();
        for (const std::string& message : messages_) {
            qWarning("%s", message.c_str());
        }
        QCOMPARE(messages_.size(), std::size_t(0));
    }
};

QTEST_GUILESS_MAIN(TestVulkanMatrices)
#include "test_vulkan_matrices.moc"
