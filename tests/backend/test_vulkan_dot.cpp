// SPDX-License-Identifier: GPL-3.0-or-later
// Products of prompts by integer dot products, on the software device with the validation layer: inputs are
// rounded as the plain reference rounds them, so the numbers are its own to the last bits; without the
// extension, and for products that 8 bits are too few for, another kernel computes them.
#include "engine/backend/reference/reference_backend.h"
#include "engine/base/embedded.h"
#include "support_grouped.h"
#include "support_plans.h"
#include "support_vulkan.h"

#include <QtTest>

#include <functional>
#include <memory>

using namespace ergo;
using namespace ergo::test;

namespace {

using Extent = BufferInfo::Extent;

constexpr double tolerance = 2e-6; // sums of groups are exact, their order differs

struct Shape2 {
    std::int64_t outputs, inputs;
};

WeightId grouped(Case& test, DType form, std::int64_t outputs, std::int64_t inputs) {
    const WeightId id = test.weight({outputs, inputs}, 0.5f);
    test.tables.weights.back().run_as = form;
    return id;
}

Linear product(Case& test, DType form, BufferId in, Shape2 shape, BufferId out, bool biased = false) {
    return Linear{in,
                  grouped(test, form, shape.outputs, shape.inputs),
                  biased ? test.weight({shape.outputs}) : WeightId{},
                  out,
                  biased ? Activation::gelu : Activation::identity,
                  Rounding::bits8};
}

} // namespace

class TestVulkanDot : public QObject {
    Q_OBJECT
    std::shared_ptr<Backend> reference_ = make_reference_backend(), cpu_ = make_cpu_backend(2), dots_, plain_;
    std::vector<std::string> messages_;

    static bool uses_dots(Backend& backend, const Case& test) {
        const auto model = backend.load(std::make_shared<Tables>(test.tables), {}, {});
        const auto executor = model->create_executor(128);
        executor->time_ops(true);
        const auto program = executor->prepare(std::make_shared<Plan>(test.plan));
        executor->run(*program, step_at(0, std::min<std::int64_t>(3, test.plan.max_rows)), {});
        const auto times = program->op_times();
        return std::any_of(times.begin(), times.end(),
                           [](const OpTime& time) { return time.kernel == "matmul_dot"; });
    }

    void agree(const std::function<Case(std::int64_t max_rows)>& made) {
        const Case test = made(70);
        QVERIFY(uses_dots(*dots_, test));
        QVERIFY(!uses_dots(*plain_, test));
        for (const auto& expected : {reference_, cpu_}) {
            const std::string message = difference(*expected, *dots_, test, {3, 33, 70, 1, 13}, tolerance);
            QVERIFY2(message.empty(), message.c_str());
        }
        // Eight bits are a hundredth of the largest of 32; what the switch leaves off changes no more.
        const std::string message = difference(*plain_, *dots_, test, {3, 33}, 2e-2);
        QVERIFY2(message.empty(), message.c_str());
    }

    static void forms() {
        QTest::addColumn<int>("form");
        QTest::newRow("q8") << static_cast<int>(DType::q8);
        QTest::newRow("q4") << static_cast<int>(DType::q4);
    }

  private slots:
    void initTestCase() {
        const int device = software_device();
        QVERIFY2(device >= 0, no_driver);
        if (!find_embedded("shaders/matmul_dot.spv")) {
            QSKIP("this build's glslc cannot spell integer dot products");
        }
        const auto features = vulkan_devices()[static_cast<std::size_t>(device)].features;
        if (std::none_of(features.begin(), features.end(),
                         [](const std::string& f) { return f.starts_with("integer dot products"); })) {
            QSKIP("this machine's software device has no integer dot products");
        }
        VulkanOptions options = validated([this](const std::string& m) { messages_.push_back(m); });
        options.slow_dot_products = true;
        dots_ = make_vulkan_backend(device, options);
        options.no_extensions = true;
        plain_ = make_vulkan_backend(device, options);
    }

    void products_data() { add_grouped_products(); }
    void products() {
        QFETCH(int, form);
        QFETCH(int, outputs);
        QFETCH(int, inputs);
        agree([&](std::int64_t rows) {
            Case test(static_cast<std::uint64_t>(outputs * 1000 + inputs), rows);
            const BufferId in = test.input(inputs);
            for (const bool biased : {false, true}) {
                test.add(product(test, static_cast<DType>(form), in, {outputs, inputs}, test.buffer(outputs),
                                 biased));
            }
            return test;
        });
    }

    /// Gate and up in one kernel, down with its residual, rows that are routed elsewhere.
    void joined_and_guarded_data() { forms(); }
    void joined_and_guarded() {
        QFETCH(int, form);
        const auto type = static_cast<DType>(form);
        agree([&](std::int64_t rows) {
            Case test(9, rows);
            const BufferId x = test.input(96), shares = test.shares(3), routed = test.buffer(40);
            Gate gate;
            gate.a = test.buffer(72);
            gate.b = test.buffer(72);
            test.add(product(test, type, x, {72, 96}, gate.a));
            test.add(product(test, type, x, {72, 96}, gate.b));
            gate.out = gate.a;
            test.add(gate);
            const BufferId down = test.buffer(96);
            test.add(product(test, type, gate.out, {96, 72}, down));
            Mix sum;
            sum.parts = {down};
            sum.residual = x;
            sum.out = test.buffer(96);
            test.add(sum);
            test.add(product(test, type, x, {40, 96}, routed), Guard{shares, 1});
            test.guarded.push_back({routed, Guard{shares, 1}});
            test.plan.logits = sum.out; // the buffers between are nobody's
            return test;
        });
    }

    void sixteen_bits_are_computed_otherwise() {
        Case test(4, 8);
        const BufferId in = test.input(64), out = test.buffer(20);
        test.add(Linear{in, grouped(test, DType::q8, 20, 64), {}, out, {}, Rounding::bits16});
        QVERIFY(!uses_dots(*dots_, test));
    }

    /// A group of zeros, of tiny numbers, of huge ones.
    void extremes_data() { forms(); }
    void extremes() {
        QFETCH(int, form);
        for (const float scale : {0.0f, 1e-35f, 1e-20f, 1e30f}) {
            Case test(6, 16);
            const BufferId in = test.input(70, scale), out = test.buffer(30);
            test.add(product(test, static_cast<DType>(form), in, {30, 70}, out));
            const std::string message = difference(*reference_, *dots_, test, {16, 5}, tolerance);
            QVERIFY2(message.empty(), message.c_str());
        }
    }

    void cleanupTestCase() {
        dots_.reset();
        plain_.reset();
        for (const std::string& message : messages_) {
            qWarning("%s", message.c_str());
        }
        QCOMPARE(messages_.size(), std::size_t(0));
    }
};

QTEST_GUILESS_MAIN(TestVulkanDot)
#include "test_vulkan_dot.moc"
