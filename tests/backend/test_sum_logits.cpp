// SPDX-License-Identifier: GPL-3.0-or-later
// Sums of logits by parts: the plain function against known numbers, then every instruction set of the CPU
// and the software Vulkan device against it, with numbers that are not finite among them.
#include "engine/backend/logit_parts.h"
#include "engine/backend/reference/reference_backend.h"
#include "engine/base/error.h"
#include "tests/backend/support_backends.h"

#include <QtTest>

#include <cmath>
#include <limits>

using namespace ergo;
using test::Case;
using Extent = BufferInfo::Extent;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

/// A model whose logits are a table's rows. In the first token's row the first part has nothing finite, and
/// so has every seventh number behind it.
Case logits_of(std::int64_t vocabulary, Extent extent) {
    Case test;
    std::vector<float> values = test.numbers(Case::vocabulary * vocabulary, 12);
    const float odd[] = {infinity, -infinity, std::nanf("")};
    for (std::int64_t token = 0; token < Case::vocabulary; token += 3) {
        for (std::int64_t i = 0; i < vocabulary; ++i) {
            if ((token == 0 && i < logits_a_part) || i % 7 == 3) {
                values[static_cast<std::size_t>(token * vocabulary + i)] = odd[i % 3];
            }
        }
    }
    test.plan.logits = test.buffer(vocabulary);
    const Tensor table = Tensor::from_floats({Case::vocabulary, vocabulary}, std::move(values));
    test.add(Embed{test.tables.add_weight("table", table), test.plan.logits});
    if (extent == Extent::last_row) {
        test.plan.add_logit_parts();
    } else {
        test.plan.logit_parts = test.buffer(floats_a_part * logit_parts(vocabulary));
        test.add(SumLogits{test.plan.logits, test.plan.logit_parts});
    }
    return test;
}

std::string difference_of_parts(std::span<const float> expected, std::span<const float> actual) {
    if (expected.size() != actual.size()) {
        return std::to_string(actual.size()) + " numbers instead of " + std::to_string(expected.size());
    }
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const bool largest = i % floats_a_part == 0; // is one of the numbers, so it is exact
        const float bound = largest ? 0 : 1e-5f * expected[i];
        if (!(expected[i] == actual[i] || std::abs(expected[i] - actual[i]) <= bound)) {
            return "number " + std::to_string(i) + " is " + std::to_string(actual[i]) + " instead of " +
                   std::to_string(expected[i]);
        }
    }
    return {};
}

std::string difference_of(Backend& backend, const Case& test, float temperature) {
    const auto reference = make_reference_backend();
    test::Running expected = test::start(*reference, test), actual = test::start(backend, test);
    for (const auto& [position, rows] : {std::pair(0, 1), {1, 32}, {33, 5}}) {
        StepState step = test::step_at(position, rows);
        step.temperature = temperature;
        step.ids.back() = position == 0 ? 0 : step.ids.back();
        expected.executor->run(*expected.program, step, {});
        actual.executor->run(*actual.program, step, {});
        const std::string found =
            difference_of_parts(expected.executor->read(*expected.program, test.plan.logit_parts),
                                actual.executor->read(*actual.program, test.plan.logit_parts));
        if (!found.empty()) {
            return "position " + std::to_string(position) + ": " + found;
        }
    }
    return {};
}

std::string on_every_backend(const Case& test, float temperature) {
    return test::on_every_backend(
        [&](Backend& backend) { return difference_of(backend, test, temperature); });
}

} // namespace

class TestSumLogits : public QObject {
    Q_OBJECT

  private slots:
    void known_numbers() {
        const std::vector<float> logits{std::log(4.f), infinity,  std::log(2.f),
                                        std::nanf(""), -infinity, std::log(1.f)};
        const LogitPart plain = sum_part(logits, 0), warm = sum_part(logits, 0.5f);
        QCOMPARE(plain.largest, std::log(4.f));
        QVERIFY(std::abs(plain.sum - 1.75f) < 1e-6f); // (4 + 2 + 1) / 4
        QCOMPARE(plain.warm, plain.sum);
        QCOMPARE(warm.sum, plain.sum);
        QVERIFY(std::abs(warm.warm - 1.3125f) < 1e-6f); // (16 + 4 + 1) / 16
        const LogitPart nothing = sum_part(std::span(logits).subspan(3, 2), 2);
        QVERIFY(nothing.largest == -infinity && nothing.sum == 0 && nothing.warm == 0);
        QCOMPARE(sum_parts(std::vector<float>(513, 1.f), 0).size(), std::size_t{3});
    }

    void backends_agree_data() {
        QTest::addColumn<int>("vocabulary");
        QTest::addColumn<bool>("last");
        QTest::addColumn<float>("temperature");
        for (const int vocabulary : {1, 5, 255, 256, 257, 1000, 4099}) {
            for (const bool last : {false, true}) {
                QTest::addRow("%d%s", vocabulary, last ? ", last row" : "")
                    << vocabulary << last << (vocabulary == 256 ? 1.0f : 0.7f);
            }
        }
        for (const float temperature : {0.0f, 0.05f, 1e-38f, 90.0f}) {
            QTest::addRow("temperature %g", static_cast<double>(temperature)) << 600 << true << temperature;
        }
    }
    void backends_agree() {
        QFETCH(int, vocabulary);
        QFETCH(bool, last);
        QFETCH(float, temperature);
        const Case test = logits_of(vocabulary, last ? Extent::last_row : Extent::rows);
        QCOMPARE(QString::fromStdString(on_every_backend(test, temperature)), QString());
    }

    void plans_are_checked() {
        Case test = logits_of(300, Extent::rows);
        test.plan.buffers[static_cast<std::size_t>(test.plan.logit_parts.index)].width = 5; // 6 are needed
        QVERIFY_EXCEPTION_THROWN(validate(test.plan, test.tables), Error);
    }
};

QTEST_GUILESS_MAIN(TestSumLogits)
#include "test_sum_logits.moc"
