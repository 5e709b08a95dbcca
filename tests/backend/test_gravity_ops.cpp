// SPDX-License-Identifier: GPL-3.0-or-later
// Gravity attention: the CPU agrees with the reference on every instruction set, also where queries and
// keys coincide and where they are long; distances are exact where the expanded form cancels.
#include "engine/backend/reference/reference_backend.h"
#include "engine/base/error.h"
#include "tests/backend/support_gravity.h"

#include <QtTest>

#include <hwy/highway.h>

#include <functional>

using namespace ergo;
using test::Case;

namespace {

const std::vector<std::int64_t> chunks{1, 3, 17, 1, 32, 32, 5, 1}; // crosses the state's blocks of 64

std::string on_all_targets(const Case& test) {
    const auto reference = make_reference_backend();
    std::string message;
    for (const std::int64_t target : hwy::SupportedAndGeneratedTargets()) {
        hwy::SetSupportedTargetsForTest(target);
        hwy::GetChosenTarget().Update(target);
        const auto cpu = make_cpu_backend(2);
        const std::string found = test::difference(*reference, *cpu, test, chunks);
        if (!found.empty() && message.empty()) {
            message = std::string(hwy::TargetName(target)) + ": " + found;
        }
        hwy::SetSupportedTargetsForTest(0);
        hwy::GetChosenTarget().Update(hwy::SupportedTargets());
    }
    return message;
}

} // namespace

class TestGravityOps : public QObject {
    Q_OBJECT

  private slots:
    void same_everywhere_data() {
        QTest::addColumn<int>("variant");
        const auto all = test::gravity_variants();
        for (int i = 0; i < static_cast<int>(all.size()); ++i) {
            QTest::addRow("%s", all[static_cast<std::size_t>(i)].name) << i;
        }
    }
    void same_everywhere();
    void near_pairs();
    void definition();
    void refusals();
};

void TestGravityOps::same_everywhere() {
    QFETCH(int, variant);
    const test::GravityVariant v = test::gravity_variants()[static_cast<std::size_t>(variant)];
    QCOMPARE(QString::fromStdString(on_all_targets(test::gravity_case(v))), QString());
}

void TestGravityOps::near_pairs() {
    test::NearPairs pairs(true), expanded(false);
    const auto cpu = make_cpu_backend(2), reference = make_reference_backend();
    QVERIFY(pairs.error(*cpu) < 1e-5);
    QVERIFY(pairs.error(*reference) < 1e-5);
    QVERIFY(expanded.error(*cpu) > 1e-2); // what clamping alone would leave
}

// The formula of Gravity-2 specification §7.1 in double precision, and the largest weights' keys.
void TestGravityOps::definition() {
    const test::GravityVariant v{"by hand", 4, 2, 6, 1};
    Case test;
    const Attention op = test::add_gravity(test, v);
    test.add(op);
    const std::vector<float> keys = test.tables.weights[0].tensor.to_floats(),
                             values = test.tables.weights[1].tensor.to_floats(),
                             queries = test.tables.weights[2].tensor.to_floats();
    const auto cpu = make_cpu_backend(1);
    test::Running running = test::start(*cpu, test);
    const StepState step = test::step_at(0, 20);
    running.executor->run(*running.program, step, {});
    const auto out = running.executor->read(*running.program, op.out);
    const auto entropy = running.executor->read(*running.program, op.rows.entropy);
    const auto top = running.executor->read(*running.program, op.rows.top_weights);
    const auto& masses = test.tables.params[0].values;
    const auto& masks = test.tables.params[1].values;
    const auto id = [&](std::size_t t) { return static_cast<std::size_t>(step.ids[t]); };
    for (std::size_t t = 0; t < 20; ++t) {
        for (std::size_t h = 0; h < 4; ++h) {
            std::vector<double> weights;
            double sum = 0, entropy_sum = 0;
            for (std::size_t j = 0; j <= t; ++j) {
                double square = 0;
                for (std::size_t c = 0; c < 6; ++c) {
                    const double d = static_cast<double>(queries[id(t) * 24 + h * 6 + c]) -
                                     keys[id(j) * 12 + h / 2 * 6 + c];
                    square += d * d;
                }
                weights.push_back(std::exp(static_cast<double>(masses[h]) * masses[h] / (square + 0.1)));
                sum += weights.back();
            }
            for (double& w : weights) {
                w /= sum;
                entropy_sum -= w * std::log(w);
            }
            for (std::size_t c = 0; c < 6; ++c) {
                double expected = 0;
                for (std::size_t j = 0; j <= t; ++j) {
                    expected += weights[j] * values[id(j) * 12 + h / 2 * 6 + c];
                }
                QVERIFY(std::abs(out[t * 24 + h * 6 + c] - expected * masks[h]) < 1e-5);
            }
            QVERIFY(std::abs(entropy[t * 4 + h] - entropy_sum) < 1e-4);
            QVERIFY(std::abs(top[(t * 4 + h) * 8] - *std::max_element(weights.begin(), weights.end())) <
                    1e-5);
        }
    }
}

void TestGravityOps::refusals() {
    const auto refused = [](const std::function<void(Attention&)>& change) {
        Case test;
        Attention op = test::add_gravity(test, {"wrong", 4, 2, 6, 1});
        change(op);
        test.add(op);
        try {
            validate(test.plan, test.tables);
        } catch (const Error& error) {
            return QString::fromStdString(error.what());
        }
        return QString();
    };
    QCOMPARE(refused([](Attention&) {}), QString());
    QVERIFY(refused([](Attention& op) { op.gravity.mass = {}; }).contains("without masses"));
    QVERIFY(refused([](Attention& op) { op.gravity.softening = 0; }).contains("softens"));
    QVERIFY(refused([](Attention& op) { op.gravity.mass = ParamId{7}; }).contains("mass"));
}

QTEST_GUILESS_MAIN(TestGravityOps)
#include "test_gravity_ops.moc"
