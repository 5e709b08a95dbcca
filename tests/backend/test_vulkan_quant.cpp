// SPDX-License-Identifier: GPL-3.0-or-later
// Products and embeddings with weights in whole numbers on the software Vulkan device, validated: the plain
// reference's and the CPU's numbers, up to the rounding of inputs that those two do and the device does not.
#include "engine/backend/reference/reference_backend.h"
#include "engine/backend/vulkan/grouped_layout.h"
#include "support_grouped.h"
#include "support_vulkan.h"

#include <QtTest>

#include <cmath>
#include <memory>

using namespace ergo;
using namespace ergo::test;

namespace {

using Extent = BufferInfo::Extent;

// Inputs are rounded to 16 bits in the reference: up to 1.5e-5 of the largest of 32, in every product.
constexpr double tolerance = 5e-5;

Case products(DType form, std::int64_t outputs, std::int64_t inputs, std::int64_t max_rows) {
    Case test(static_cast<std::uint64_t>(outputs * 1000 + inputs), max_rows);
    const BufferId in = test.input(inputs), out = test.buffer(outputs), biased = test.buffer(outputs);
    const WeightId weight = test.weight({outputs, inputs}, 0.5f);
    test.tables.weights.back().run_as = form;
    test.add(Linear{in, weight, {}, out, {}});
    test.add(Linear{in, weight, test.weight({outputs}), biased, Activation::silu});
    return test;
}

} // namespace

class TestVulkanQuant : public QObject {
    Q_OBJECT

    std::shared_ptr<Backend> reference_ = make_reference_backend(), cpu_ = make_cpu_backend(2), vulkan_;
    std::vector<std::string> messages_;

    /// Chunks through the plan of a prompt, then one by one through a plan of one row.
    void agree(const std::function<Case(std::int64_t max_rows)>& made) {
        for (const auto& [max_rows, chunks] :
             {std::pair{std::int64_t{70}, std::vector<std::int64_t>{3, 33, 70, 1, 13}},
              std::pair{std::int64_t{1}, std::vector<std::int64_t>{1, 1, 1}}}) {
            const Case test = made(max_rows);
            for (const auto& expected : {reference_, cpu_}) {
                const std::string message = difference(*expected, *vulkan_, test, chunks, tolerance);
                QVERIFY2(message.empty(), message.c_str());
            }
        }
        QCOMPARE(messages_.size(), std::size_t(0));
    }

  private slots:
    void initTestCase() {
        const int device = software_device();
        QVERIFY2(device >= 0, no_driver);
        vulkan_ =
            make_vulkan_backend(device, validated([this](const std::string& m) { messages_.push_back(m); }));
    }

    void products_data() { add_grouped_products(); }

    void products() {
        QFETCH(int, form);
        QFETCH(int, outputs);
        QFETCH(int, inputs);
        agree([&](std::int64_t rows) { return ::products(static_cast<DType>(form), outputs, inputs, rows); });
    }

    void stored_numbers_data() { test::add_stored_types(); }

    // Numbers of a file pass unchanged.
    void stored_numbers() {
        QFETCH(int, type);
        const auto kind = static_cast<DType>(type);
        agree([&](std::int64_t rows) {
            Case test(5, rows);
            const std::int64_t inputs = is_grouped(kind) ? 138 : 160;
            const Tensor stored =
                is_grouped(kind) ? grouped_of(kind, 37, inputs, test) : blocks_of(kind, 37, inputs, test);
            const BufferId in = test.input(inputs), out = test.buffer(37);
            test.add(Linear{in, test.tables.add_weight("stored", stored), {}, out, {}});
            return test;
        });
        // Row by row: the matrix itself, to the last bits.
        Case test(6, 32);
        const std::int64_t size = is_grouped(kind) ? 70 : 96;
        const Tensor stored = is_grouped(kind) ? grouped_of(kind, Case::vocabulary, size, test)
                                               : blocks_of(kind, Case::vocabulary, size, test);
        const BufferId out = test.buffer(size);
        test.add(Embed{test.tables.add_weight("table", stored), out});
        const std::string message = difference(*reference_, *vulkan_, test, {32, 32, 7}, 1e-7);
        QVERIFY2(message.empty(), message.c_str());
    }

    // Blocks of 256 become 16-bit floats here, and are announced as such.
    void blocks_of_256() {
        for (const DType type : {DType::q4_k, DType::q5_k, DType::q6_k}) {
            Case test(7, 33), halves(7, 33);
            for (Case* each : {&test, &halves}) {
                const Tensor stored = blocks_of(type, 37, 512, *each);
                const BufferId in = each->input(512), out = each->buffer(37);
                const WeightId weight = each->tables.add_weight("blocks", stored);
                each->add(Linear{in, weight, {}, out, {}, Rounding::bits8});
                each->plan.logits = out;
            }
            halves.tables.weights.back().run_as = DType::f16;
            Running expected = start(*reference_, halves), actual = start(*vulkan_, test);
            QCOMPARE(actual.model->taken().weights, vulkan_->need(test.tables, 256, {}).weights);
            QVERIFY(actual.model->weight_bytes() >= std::uint64_t{37 * 512 * 2});
            std::int64_t position = 0;
            for (const std::int64_t rows : {33, 1, 2}) {
                const std::vector<float> x = run(expected, halves, position, rows),
                                         y = run(actual, test, position, rows);
                float most = 0, apart = x.size() == y.size() ? 0.0f : INFINITY;
                for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
                    most = std::max(most, std::abs(x[i]));
                    apart = std::max(apart, std::abs(x[i] - y[i]));
                }
                QVERIFY2(apart <= 2e-5f * most, qPrintable(QString("%1 of %2").arg(apart).arg(most)));
                position += rows;
            }
        }
    }

    // Scales of small weights are subnormal 16-bit floats; a device must not take them for 0.
    void small_weights() {
        for (const DType form : {DType::q8, DType::q4}) {
            Case test(11, 1);
            const BufferId in = test.input(96, 1000.0f), out = test.buffer(40);
            const WeightId weight = test.weight({40, 96}, 2e-3f);
            test.tables.weights.back().run_as = form;
            test.add(Linear{in, weight, {}, out, {}});
            const std::string message = difference(*reference_, *vulkan_, test, {1, 1}, tolerance);
            QVERIFY2(message.empty(), message.c_str());
        }
    }

    void only_the_last_row_and_only_routed_rows() {
        agree([](std::int64_t rows) {
            Case test(9, rows);
            const BufferId in = test.input(64), shares = test.shares(3);
            const BufferId last = test.buffer(40, Extent::last_row), routed = test.buffer(40);
            const WeightId weight = test.weight({40, 64});
            test.tables.weights.back().run_as = DType::q4;
            test.add(Linear{in, weight, {}, last, {}});
            test.add(Linear{in, weight, {}, routed, {}}, Guard{shares, 1});
            test.guarded.push_back({routed, Guard{shares, 1}});
            return test;
        });
    }

    // What is announced is what is allocated, and far less than 16 bits a weight.
    void memory() {
        for (const DType form : {DType::q8, DType::q4}) {
            auto tables = std::make_shared<Tables>();
            Case numbers(3);
            constexpr std::int64_t outputs = 6000, inputs = 2100;
            for (int i = 0; i < 4; ++i) {
                tables->add_weight("matrix", grouped_of(form, outputs, inputs, numbers));
            }
            const MemoryNeed need = vulkan_->need(*tables, 16, {});
            const auto model = vulkan_->load(tables, {}, {});
            QCOMPARE(model->taken().weights, need.weights);
            QCOMPARE(model->weight_bytes(), 4 * vulkan::grouped_bytes(form, outputs, inputs));
            QVERIFY(model->weight_bytes() <
                    4 * std::uint64_t{outputs * inputs} * (form == DType::q8 ? 9 : 6) / 8);
        }
    }

    void cleanupTestCase() {
        vulkan_.reset(); // destruction is validated as well
        for (const std::string& message : messages_) {
            qWarning("%s", message.c_str());
        }
        QCOMPARE(messages_.size(), std::size_t(0));
    }
};

QTEST_GUILESS_MAIN(TestVulkanQuant)
#include "test_vulkan_quant.moc"
