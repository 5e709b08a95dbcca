// SPDX-License-Identifier: GPL-3.0-or-later
// Keys and values in fewer bits: how exact they are, and that rounding twice is rounding once.
#include "engine/backend/rounded_state.h"
#include "engine/base/error.h"
#include "engine/model/cache_types.h"
#include "tests/backend/support_plans.h"

#include <QtTest>

#include <array>
#include <cmath>
#include <limits>

using namespace ergo;

namespace {

StateInfo state_of(std::int32_t heads, std::int32_t dim, DType stored) {
    return {"keys", std::int64_t{heads} * dim, {heads, dim, false, false}, stored};
}

} // namespace

class TestRoundedState : public QObject {
    Q_OBJECT

  private slots:
    void error_and_repetition_data();
    void error_and_repetition();
    void groups_stand_alone();
    void numbers_that_are_not_finite();
    void which_states();
};

void TestRoundedState::error_and_repetition_data() {
    QTest::addColumn<int>("type");
    QTest::addColumn<float>("scale");
    QTest::addColumn<float>("error"); // of the largest
    for (const float scale : {1e-25f, 1e-6f, 1.0f, 3e4f, 1e37f}) {
        QTest::addRow("bf16, %g", scale) << static_cast<int>(DType::bf16) << scale << 1.0f / 256;
        QTest::addRow("q8, %g", scale) << static_cast<int>(DType::q8) << scale << 0.51f / 127;
    }
}

void TestRoundedState::error_and_repetition() {
    QFETCH(int, type);
    QFETCH(float, scale);
    QFETCH(float, error);
    const StateInfo state = state_of(3, 64, static_cast<DType>(type));
    test::Case random(9);
    for (int trial = 0; trial < 200; ++trial) {
        const std::vector<float> exact = random.numbers(state.width, scale);
        std::vector<float> once = exact;
        round_row(state, once);
        for (std::size_t group = 0; group < once.size(); group += state_group) {
            float largest = 0;
            for (std::size_t i = group; i < group + state_group; ++i) {
                largest = std::max(largest, std::abs(exact[i]));
            }
            for (std::size_t i = group; i < group + state_group; ++i) {
                QVERIFY2(std::abs(once[i] - exact[i]) <= error * largest,
                         qPrintable(QString::number(once[i])));
            }
        }
        std::vector<float> twice = once;
        round_row(state, twice);
        QCOMPARE(QString::fromStdString(test::bit_difference(once, twice)), QString());
    }
}

// A group of large numbers costs its neighbours nothing; zeros stay zeros.
void TestRoundedState::groups_stand_alone() {
    const StateInfo state = state_of(1, 96, DType::q8);
    std::vector<float> row(96, 0.0f);
    row[3] = 1e6f;
    row[40] = 0.25f;
    round_row(state, row);
    QVERIFY(std::abs(row[3] - 1e6f) < 1e3f);
    QVERIFY(std::abs(row[40] - 0.25f) < 2e-4f);
    for (std::size_t i = 64; i < 96; ++i) {
        QCOMPARE(row[i], 0.0f);
    }
}

void TestRoundedState::numbers_that_are_not_finite() {
    for (const float bad :
         {std::numeric_limits<float>::infinity(), std::numeric_limits<float>::quiet_NaN()}) {
        const StateInfo state = state_of(2, 32, DType::q8);
        std::vector<float> row(64, 1.0f);
        row[5] = bad;
        round_row(state, row);
        QVERIFY(std::isnan(row[5]) && std::isnan(row[6])); // never a number that looks well
        QVERIFY(std::abs(row[40] - 1) < 1e-3f);
    }
}

void TestRoundedState::which_states() {
    Tables tables;
    tables.add_state("keys", 64, {2, 32, false, false});
    tables.add_state("values", 64, {2, 32, true, false});
    tables.add_state("narrow", 48, {2, 24, false, false});
    tables.add_state("distances", 2, {2, 32, false, false});
    tables.add_state("history", 64);
    convert_cache(tables, "q8");
    std::vector<DType> types;
    for (const StateInfo& state : tables.states) {
        types.push_back(state.stored);
    }
    QCOMPARE(types, (std::vector<DType>{DType::q8, DType::q8, DType::f32, DType::f32, DType::f32}));
    QCOMPARE(cache_type(tables), DType::q8);
    convert_cache(tables, "f32");
    QCOMPARE(cache_type(tables), DType::f32);
    QVERIFY_EXCEPTION_THROWN(convert_cache(tables, "f17"), Error);
    Plan plan;
    tables.states[2].stored = DType::bf16;
    QVERIFY_EXCEPTION_THROWN(validate(plan, tables), Error);
}

QTEST_APPLESS_MAIN(TestRoundedState)
#include "test_rounded_state.moc"
