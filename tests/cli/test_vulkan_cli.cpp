// SPDX-License-Identifier: GPL-3.0-or-later
// `ergo` on the software Vulkan device: a device that fails on purpose, what a token costs, what auto
// decides.
#include "support_ergo.h"

#include <QJsonArray>
#include <QTest>

class TestVulkanCli : public QObject {
    Q_OBJECT

  private slots:
    void initTestCase() {
        const QJsonObject listed = call_ergo({"devices", "--json"}).json();
        for (const QJsonValue& device : listed["devices"].toArray()) {
            if (device["software"].toBool()) {
                vulkan_ = device["backend"].toString();
                QVERIFY(!device["auto"].toBool());
            }
        }
        QVERIFY2(!vulkan_.isEmpty(), "there is no software Vulkan device: install mesa-vulkan-drivers");
        QVERIFY(!listed["auto"].toString().isEmpty() && listed["auto_reason"].toString().endsWith("."));
    }

    void info_says_what_auto_takes() {
        const QJsonObject info = call_ergo({"info", "demo:moa", "--json"}).json();
        QVERIFY(info["auto"].toObject()["backend"].toString() != vulkan_);
        QVERIFY(info["auto"].toObject()["reason"].toString().endsWith("."));
    }

    void a_reply_survives_its_device() {
        const QStringList question{"run", "demo:moa", "--chat",   "-p", "Solve 3x + 2 = 17",
                                   "-n",  "8",        "--backend"};
        const ErgoResult plain = call_ergo(question + QStringList{"cpu"});
        QCOMPARE(plain.code, 0);
        for (const char* fault : {"lose-at=3", "no-memory-at=3"}) {
            const ErgoResult got = call_ergo(question + QStringList{vulkan_, "--diagnose", fault});
            QCOMPARE(got.code, 0);
            QCOMPARE(got.out, plain.out);
            QVERIFY2(got.err.contains("ergo: The CPU goes on, because"), got.err);
        }
        QCOMPARE(call_ergo(question + QStringList{vulkan_, "--diagnose", "lose-at=x"}).code, 2);
        QCOMPARE(call_ergo(question + QStringList{vulkan_, "--diagnose", "something"}).code, 2);
    }

    void bench_tells_what_a_token_costs() {
        const ErgoResult bench = call_ergo({"bench", "demo:moa", "-p", "8", "-n", "4", "--repetitions", "1",
                                            "--backend", vulkan_, "--json"});
        QVERIFY2(bench.code == 0, bench.err);
        const QJsonObject r = bench.json();
        QCOMPARE(r["backend"].toString(), vulkan_);
        QCOMPARE(r["host_ops"].toInt(-1), 0);
        QVERIFY(r["dispatches_per_token"].toDouble() > 10);
        QVERIFY(r["bytes_moved_per_token"].toDouble() > r["bytes_per_token"].toDouble());
        QVERIFY(r["submissions_per_token"].toDouble() >= 1);
        const QString matrices = r["cooperative_matrices"].toString();
        QVERIFY2(matrices.startsWith("Not used: the device has no cooperative matrices."),
                 qPrintable(matrices));
        const QJsonArray ops = r["generate_ops"].toArray();
        QVERIFY(ops.size() > 10);
        double before = 1e300;
        for (const QJsonValue& op : ops) { // slowest first
            QVERIFY(op["seconds"].toDouble() <= before && !op["name"].toString().isEmpty());
            before = op["seconds"].toDouble();
        }
        for (const QJsonValue& op : ops) { // attention reads its keys and values, though no weights
            if (op["name"].toString().endsWith("attention")) {
                QVERIFY(op["bytes_moved"].toDouble() > op["bytes"].toDouble());
                QVERIFY(op["bandwidth_share"].toDouble() > 0);
            }
        }
    }

    void one_reads_and_another_writes() {
        const QStringList question{"run", "demo:moa", "--chat",   "-p", "Solve 3x + 2 = 17",
                                   "-n",  "8",        "--backend"};
        const ErgoResult plain = call_ergo(question + QStringList{"cpu"});
        for (const QString& pair : {vulkan_ + "+cpu", "cpu+" + vulkan_, QString("hybrid")}) {
            const ErgoResult got = call_ergo(question + QStringList{pair});
            QVERIFY2(got.code == 0, got.err);
            QCOMPARE(got.out, plain.out);
        }
        const ErgoResult bench = call_ergo({"bench", "demo:moa", "-p", "40", "-n", "4", "--repetitions", "1",
                                            "--backend", vulkan_ + "+cpu", "--json"});
        QVERIFY2(bench.code == 0, bench.err);
        QCOMPARE(bench.json()["backend"].toString(), vulkan_ + "+cpu");
        QVERIFY(bench.json()["device"].toString().contains(" reads, "));
        QCOMPARE(call_ergo(question + QStringList{vulkan_ + "+nowhere"}).code, 2);
    }

    void nothing_beyond_vulkan_1_2() {
        const ErgoResult run = call_ergo({"run", "demo:moa", "-p", "Solve", "-n", "4", "--backend", vulkan_,
                                          "--diagnose", "no-extensions,validation"});
        QVERIFY2(run.code == 0 && !run.err.contains("VUID"), run.err);
    }

  private:
    QString vulkan_;
};

QTEST_GUILESS_MAIN(TestVulkanCli)
#include "test_vulkan_cli.moc"
