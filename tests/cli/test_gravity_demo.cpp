// SPDX-License-Identifier: GPL-3.0-or-later
// The gravity demo model as a person uses it: recognised with its masses, solving, traced, and told apart
// from the same weights under dot-product attention.
#include "engine/tensor/npy.h"
#include "support_ergo.h"

#include <QJsonArray>
#include <QTemporaryDir>
#include <QTest>

#include <algorithm>
#include <cmath>

namespace {

const QStringList equation{"--chat", "-p", "Solve -3x - 7 = 11"};

} // namespace

class TestGravityDemo : public QObject {
    Q_OBJECT

  private slots:
    void solves_an_equation();
    void is_gravity_with_masses();
    void weights_are_not_blank();
};

void TestGravityDemo::solves_an_equation() {
    const ErgoResult reply = call_ergo(QStringList{"run", "demo:gravity"} + equation);
    QVERIFY2(reply.code == 0, reply.err);
    QVERIFY2(reply.out.trimmed().endsWith("x = -6"), reply.out);
    // what it learned it learned under gravity
    const ErgoResult dot =
        call_ergo(QStringList{"run", "demo:gravity", "--set", "knob.attention=dot", "-n", "40"} + equation);
    QVERIFY2(dot.code == 0, dot.err);
    QVERIFY2(!dot.out.trimmed().endsWith("x = -6"), dot.out);
}

void TestGravityDemo::is_gravity_with_masses() {
    const ErgoResult info = call_ergo({"info", "demo:gravity", "--json"});
    QVERIFY2(info.code == 0, info.err);
    QCOMPARE(info.json()["family"].toString(), QString("gravity"));
    QVERIFY(info.json()["why"].toString().contains("gravity_mass_log.pt"));
    QVERIFY(info.json()["problems"].toArray().isEmpty());
}

/// Some head of the model concentrates: its largest weight is far above what every key would get alike.
void TestGravityDemo::weights_are_not_blank() {
    const QTemporaryDir folder;
    const QString out = folder.filePath("trace.npz");
    const ErgoResult run =
        call_ergo({"trace", "demo:gravity", "--tokens", "5,17,300,12,5,17,300,44,9,9,21,5,400,3", "--observe",
                   "*.top_weights,*.mass", "--out", out});
    QVERIFY2(run.code == 0, run.err);
    double largest = 0;
    int masses = 0;
    for (const auto& [name, array] : ergo::read_npz(out.toStdString())) {
        const auto values = array.to_doubles();
        if (name.ends_with(".mass")) {
            ++masses;
            QVERIFY(std::ranges::all_of(values, [](double mass) { return mass > 0 && std::isfinite(mass); }));
        } else if (name.ends_with(".top_weights")) {
            largest = std::max(largest, values[values.size() - 8]); // last token, last head
        }
    }
    QVERIFY(masses > 0);
    QVERIFY2(largest > 2.0 / 14, qPrintable(QString::number(largest)));
}

QTEST_GUILESS_MAIN(TestGravityDemo)
#include "test_gravity_demo.moc"
