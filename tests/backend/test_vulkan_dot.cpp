// SPDX-License-Identifier: GPL-3.0-or-later
// Products of prompts by integer dot products, on the software device with the validation layer: inputs are
// rounded as the plain reference rounds them, so the numbers are its own to the last bits; without the
// extension, and for products that 8 bits are too few for, another kernel computes them.
#include "engine/backend/reference/reference_backend.h"
#include "engine/base/embedded.h"
#include "support_grouped.h"
#include "support_products.h"
#include "support_vulkan.h"

#include <QtTest>

#include <functional>
#include <memory>

using namespace ergo;
using namespace ergo::test;

namespace {

constexpr double tolerance = 2e-6; // sums of groups are exact, their order differs

AddMatrix grouped(DType form) {
    return [form](Case& test, Size size) {
        const WeightId id = test.weight({size.outputs, size.inputs}, 0.5f);
        test.tables.weights.back().run_as = form;
        return id;
    };
}

} // namespace

class TestVulkanDot : public QObject {
    Q_OBJECT
    std::shared_ptr<Backend> reference_ = make_reference_backend(), cpu_ = make_cpu_backend(2), dots_, plain_;
    std::vector<std::string> messages_;

    static bool uses_dots(Backend& backend, const Case& test) {
        return uses_kernel(backend, test, "matmul_dot");
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
            return two_products(grouped(static_cast<DType>(form)), {outputs, inputs}, rows);
        });
    }

    /// Gate and up in one kernel, down with its residual, rows that are routed elsewhere.
    void joined_and_guarded_data() { forms(); }
    void joined_and_guarded() {
        QFETCH(int, form);
        agree([&](std::int64_t rows) {
            return joined_products(grouped(static_cast<DType>(form)), true, rows);
        });
    }

    void sixteen_bits_are_computed_otherwise() {
        Case test(4, 8);
        const BufferId in = test.input(64), out = test.buffer(20);
        test.add(Linear{in, grouped(DType::q8)(test, {20, 64}), {}, out, {}, Rounding::bits16});
        QVERIFY(!uses_dots(*dots_, test));
    }

    /// A group of zeros, of tiny numbers, of huge ones.
    void extremes_data() { forms(); }
    void extremes() {
        QFETCH(int, form);
        for (const float scale : {0.0f, 1e-35f, 1e-20f, 1e30f}) {
            Case test(6, 16);
            const BufferId in = test.input(70, scale), out = test.buffer(30);
            test.add(product(test, grouped(static_cast<DType>(form)), in, {30, 70}, out));
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
