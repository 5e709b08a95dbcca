// SPDX-License-Identifier: GPL-3.0-or-later
// Weights for readers against double precision: lengths around the kernel's block, masked keys, empty rows.
#include "engine/backend/row_weights.h"

#include <QTest>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace {
constexpr float masked = -std::numeric_limits<float>::infinity();
}

class TestRowWeights : public QObject {
    Q_OBJECT

  private slots:
    void equal_the_definition_data();
    void equal_the_definition();
    void nothing_kept_is_zeros();
};

void TestRowWeights::equal_the_definition_data() {
    QTest::addColumn<int>("keys");
    for (const int keys : {0, 1, 5, 63, 64, 65, 127, 128, 513}) {
        QTest::addRow("%d keys", keys) << keys;
    }
}

void TestRowWeights::equal_the_definition() {
    QFETCH(int, keys);
    std::mt19937 random(unsigned(keys) + 1);
    std::normal_distribution<float> spread(0, 6);
    const auto count = static_cast<std::size_t>(keys);
    std::vector<float> logits(count, 0.0f), got(count, 7.0f);
    float maximum = masked;
    for (std::size_t j = 0; j < logits.size(); ++j) {
        logits[j] = j % 5 == 3 ? masked : spread(random);
        maximum = std::max(maximum, logits[j]);
    }
    double sum = 0;
    for (const float logit : logits) {
        sum += std::exp(double(logit) - double(maximum));
    }
    ergo::row_weights(logits, maximum, float(sum), got);
    for (std::size_t j = 0; j < logits.size(); ++j) {
        const double want = std::exp(double(logits[j]) - double(maximum)) / sum;
        QVERIFY2(std::abs(double(got[j]) - want) <= 1e-6 * want + 1e-12, qPrintable(QString::number(j)));
        QCOMPARE(got[j] == 0, logits[j] == masked);
    }
}

void TestRowWeights::nothing_kept_is_zeros() {
    const std::vector<float> logits(70, masked);
    std::vector<float> got(70, 7.0f);
    ergo::row_weights(logits, 0, 0, got);
    QCOMPARE(got, std::vector<float>(70, 0.0f));
}

QTEST_GUILESS_MAIN(TestRowWeights)
#include "test_row_weights.moc"
