// SPDX-License-Identifier: GPL-3.0-or-later
// Drawing from sums of parts, against plain passes over the whole vocabulary.
#include "engine/generate/chances.h"
#include "engine/generate/sampler.h"
#include "tests/generate/support_sampling.h"

#include <QTest>

#include <cmath>
#include <numeric>

using namespace ergo;

class TestChances : public QObject {
    Q_OBJECT

  private slots:
    void probabilities_and_the_largest_data() {
        QTest::addColumn<int>("vocabulary");
        for (const int vocabulary : {1, 2, 255, 256, 257, 3000, 50257}) {
            QTest::addRow("%d", vocabulary) << vocabulary;
        }
    }
    void probabilities_and_the_largest() {
        QFETCH(int, vocabulary);
        const std::vector<float> logits = test::random_logits(static_cast<std::size_t>(vocabulary), 8, 3);
        const std::vector<std::int32_t> order = test::ordered(logits);
        for (const double temperature : {1.0, 0.6}) {
            const std::vector<LogitPart> parts = sum_parts(logits, static_cast<float>(temperature));
            const Chances chances(logits, parts, temperature, temperature != 1);
            const std::vector<double> p = test::softmax(logits, temperature);
            for (std::size_t i = 0; i < logits.size(); ++i) {
                QVERIFY(std::abs(chances.probability(static_cast<std::int32_t>(i)) - p[i]) <= 1e-6 * p[i]);
            }
            for (const std::size_t count : {0u, 1u, 5u, 64u, 500u, 60000u}) {
                const auto expected = std::min(count, order.size());
                QCOMPARE(chances.largest(count),
                         std::vector(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(expected)));
            }
            double before = 0; // every id is found in the middle of its share
            for (std::size_t i = 0; i < logits.size(); i += 1 + logits.size() / 500) {
                before = std::accumulate(p.begin(), p.begin() + static_cast<std::ptrdiff_t>(i), 0.0);
                if (p[i] > 1e-5) {
                    QCOMPARE(chances.at(before + p[i] / 2), static_cast<std::int32_t>(i));
                }
            }
            QVERIFY(p[static_cast<std::size_t>(chances.at(1 - 0x1p-53))] > 0);
        }
    }

    void equal_logits_come_in_the_order_of_their_ids() {
        const std::vector<float> logits(1000, 0.5f);
        const std::vector<LogitPart> parts = sum_parts(logits, 0);
        const Chances chances(logits, parts, 1, false);
        std::vector<std::int32_t> first(300);
        std::iota(first.begin(), first.end(), 0);
        QCOMPARE(chances.largest(300), first);
        QCOMPARE(chances.at(0.5), 500);
    }

    void choices_are_those_of_a_plain_pass_data() {
        QTest::addColumn<SamplingParams>("params");
        QTest::addColumn<double>("spread");
        const auto row = [](const char* name, SamplingParams params, double spread = 8) {
            QTest::newRow(name) << params << spread;
        };
        row("greedy", {});
        row("greedy, penalty", {.repeat_penalty = 1.5});
        row("nothing cut", {.temperature = 0.8});
        row("nothing cut, flat", {.temperature = 2}, 0.5);
        row("cold", {.temperature = 0.02});
        row("top-k", {.temperature = 0.9, .top_k = 40});
        row("top-k beyond the vocabulary", {.temperature = 0.9, .top_k = 100000});
        row("top-p", {.temperature = 0.8, .top_p = 0.95});
        row("top-p, flat", {.temperature = 1, .top_p = 0.9}, 0.2);
        row("top-p, nearly equal", {.temperature = 1, .top_p = 0.999}, 0.01);
        row("top-p, wide", {.temperature = 3, .top_p = 0.9999}, 60);
        row("min-p", {.temperature = 0.8, .min_p = 0.02});
        row("min-p, flat", {.temperature = 1, .min_p = 0.9}, 0.5);
        row("all cuts", {.temperature = 1.2, .top_k = 200, .top_p = 0.8, .min_p = 0.01});
        row("penalty", {.temperature = 0.8, .repeat_penalty = 1.3, .repeat_window = 20});
        row("reward and top-p", {.temperature = 0.8, .top_p = 0.9, .repeat_penalty = 0.7});
    }
    void choices_are_those_of_a_plain_pass() {
        QFETCH(SamplingParams, params);
        QFETCH(double, spread);
        params.seed = 5;
        Sampler summed(params), alone(params); // with parts that a backend made, and without
        std::mt19937_64 random(params.seed);
        for (std::uint64_t i = 0; i < 12; ++i) {
            const std::vector<float> logits = test::random_logits(5000, spread, i);
            const std::vector<LogitPart> parts = sum_parts(logits, summed.temperature());
            std::vector<std::int32_t> history = test::ordered(logits);
            history.resize(30 + i);
            const std::int32_t expected = test::plain_choice(logits, params, history, random);
            QCOMPARE(alone.choose({logits}, history).id, expected);
            const Choice choice = summed.choose({logits, parts, summed.temperature()}, history);
            QCOMPARE(choice.id, expected);
            const std::vector<double> untouched = test::softmax(logits, 1);
            const double p = untouched[static_cast<std::size_t>(expected)];
            QVERIFY(std::abs(choice.probability - p) <= 1e-6 * p);
            QCOMPARE(choice.alternatives.size(), std::size_t{5});
            QCOMPARE(choice.alternatives[0].id, test::ordered(logits).front());
        }
    }
};

QTEST_GUILESS_MAIN(TestChances)
#include "test_chances.moc"
