// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/error.h"
#include "engine/generate/sampler.h"
#include "engine/generate/stop_strings.h"

#include <QTest>

#include <cmath>
#include <limits>

using namespace ergo;

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

std::vector<int> histogram(const SamplingParams& params, const std::vector<float>& logits, int draws) {
    Sampler sampler(params);
    std::vector<int> counts(logits.size());
    for (int i = 0; i < draws; ++i) {
        ++counts[static_cast<std::size_t>(sampler.choose({logits}, {}).id)];
    }
    return counts;
}

} // namespace

class SamplerTest : public QObject {
    Q_OBJECT

  private slots:
    void greedy_takes_the_largest_and_the_lower_id_of_equals() {
        Sampler sampler(SamplingParams{});
        QCOMPARE(sampler.choose({std::vector<float>{1, 3, 3, 2}}, {}).id, 1);
    }

    void same_seed_same_choices_other_seed_others() {
        const std::vector<float> logits(50, 0.f);
        SamplingParams a;
        a.temperature = 1;
        a.seed = 7;
        SamplingParams b = a;
        b.seed = 8;
        const auto draw = [&](const SamplingParams& p) {
            Sampler s(p);
            std::vector<int> ids;
            for (int i = 0; i < 40; ++i) {
                ids.push_back(s.choose({logits}, {}).id);
            }
            return ids;
        };
        QCOMPARE(draw(a), draw(a));
        QVERIFY(draw(a) != draw(b));
    }

    void frequencies_follow_the_distribution() {
        SamplingParams p;
        p.temperature = 1;
        const auto counts = histogram(p, {std::log(0.7f), std::log(0.2f), std::log(0.1f)}, 20000);
        QVERIFY(std::abs(counts[0] - 14000) < 400 && std::abs(counts[1] - 4000) < 300 &&
                std::abs(counts[2] - 2000) < 250);
    }

    void temperature_sharpens() {
        SamplingParams p;
        p.temperature = 0.5; // squares the odds: 0.8 against 0.2 becomes 16 to 1
        const auto counts = histogram(p, {std::log(0.8f), std::log(0.2f)}, 17000);
        QVERIFY(std::abs(counts[1] - 1000) < 200);
    }

    void cuts_leave_only_what_they_should() {
        const std::vector<float> logits{std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};
        SamplingParams k;
        k.temperature = 1;
        k.top_k = 2;
        SamplingParams p = k;
        p.top_k = 0;
        p.top_p = 0.75; // 0.5 is not enough, 0.8 is
        SamplingParams m = k;
        m.top_k = 0;
        m.min_p = 0.4; // 0.2 of 0.5 at least
        for (const SamplingParams& params : {k, p, m}) {
            const auto counts = histogram(params, logits, 3000);
            QVERIFY(counts[0] > 0 && counts[1] > 0);
            QCOMPARE(counts[2] + counts[3], 0);
        }
    }

    void repeat_penalty_moves_the_choice() {
        SamplingParams p;
        p.repeat_penalty = 2;
        Sampler sampler(p);
        const std::vector<std::int32_t> history{0};
        QCOMPARE(sampler.choose({std::vector<float>{3, 2}}, history).id, 1);
        QCOMPARE(sampler.choose({std::vector<float>{-2, -3}}, history).id, 1); // negative logits sink further
    }

    void what_is_not_finite_is_never_chosen() {
        SamplingParams p;
        p.temperature = 1;
        const auto counts = histogram(p, {-infinity, 0.f, std::nanf("")}, 200);
        QCOMPARE(counts[1], 200);
        Sampler sampler(p);
        QVERIFY_EXCEPTION_THROWN(sampler.choose({std::vector<float>{-infinity, std::nanf("")}}, {}), Error);
    }

    void alternatives_are_of_the_untouched_distribution() {
        SamplingParams p;
        p.temperature = 0.01;
        p.top_k = 1;
        Sampler sampler(p);
        const Choice choice = sampler.choose({std::vector<float>{std::log(0.6f), std::log(0.4f)}}, {});
        QCOMPARE(choice.alternatives.size(), std::size_t{2});
        QVERIFY(std::abs(choice.alternatives[1].probability - 0.4f) < 1e-6f);
        QVERIFY(std::abs(choice.probability - 0.6f) < 1e-6f);
    }

    void nonsense_is_refused_with_a_sentence() {
        const auto refused = [](auto change) {
            SamplingParams p;
            change(p);
            try {
                validate(p);
            } catch (const Error& error) {
                return error.kind() == ErrorKind::usage && !error.message().empty();
            }
            return false;
        };
        QVERIFY(refused([](SamplingParams& p) { p.temperature = -1; }));
        QVERIFY(refused([](SamplingParams& p) { p.temperature = std::nan(""); }));
        QVERIFY(refused([](SamplingParams& p) { p.top_p = 0; }));
        QVERIFY(refused([](SamplingParams& p) { p.min_p = 1; }));
        QVERIFY(refused([](SamplingParams& p) { p.repeat_penalty = 0; }));
        QVERIFY(refused([](SamplingParams& p) { p.top_k = -1; }));
    }

    void stop_strings_hold_back_what_may_become_one() {
        StopStrings stops({"END", ""});
        QCOMPARE(stops.push("one E"), std::string("one "));
        QCOMPARE(stops.push("N"), std::string());
        QCOMPARE(stops.push("X"), std::string("ENX"));
        QCOMPARE(stops.push("two END three"), std::string("two "));
        QVERIFY(stops.stopped());
        QCOMPARE(stops.push("more"), std::string());
        StopStrings open({"\n\n"});
        QCOMPARE(open.push("a\n"), std::string("a"));
        QCOMPARE(open.finish(), std::string("\n"));
    }
};

QTEST_GUILESS_MAIN(SamplerTest)
#include "test_sampler.moc"
