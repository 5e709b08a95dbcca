// SPDX-License-Identifier: GPL-3.0-or-later
// Keys and values in fewer bits, as a script asks for them: what they save, what they cost, who cannot.
#include "engine/tensor/npy.h"
#include "tests/cli/support_ergo.h"

#include <QFile>
#include <QJsonArray>
#include <QTemporaryDir>
#include <QTest>

#include <cmath>

class CacheTest : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    QString model_;
    QString path(const char* name) const { return folder_.filePath(name); }

    // Logits of 48 tokens; by `words` how.
    static QString tokens() {
        QStringList ids;
        for (int i = 0; i < 48; ++i) {
            ids += QString::number(i * i % 61);
        }
        return ids.join(',');
    }

    std::vector<double> logits(const QStringList& words) {
        const ErgoResult run = call_ergo(QStringList{"logits", model_, "--tokens", tokens(), "--out",
                                                     path("logits.npy"), "--backend", "cpu"} +
                                         words);
        return run.code == 0 ? ergo::read_npy(path("logits.npy").toStdString()).to_doubles()
                             : std::vector<double>{};
    }

    static double difference(const std::vector<double>& a, const std::vector<double>& b) {
        double most = a.size() == b.size() && !a.empty() ? 0 : INFINITY, largest = 0;
        for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
            most = std::max(most, std::abs(a[i] - b[i]));
            largest = std::max(largest, std::abs(a[i]));
        }
        return most / largest;
    }

  private slots:
    void initTestCase() {
        QFile config(path("config.json"));
        QVERIFY(config.open(QIODevice::WriteOnly));
        config.write(
            R"({"model_type": "kotodama", "hidden_size": 64, "num_layers": 4, "num_attention_heads": 4,
            "num_kv_heads": 2, "head_dim": 32, "intermediate_size": 50, "vocab_size": 61,
            "max_position_embeddings": 256, "attn_res_boundaries": [0, 2]})");
        config.close();
        model_ = path("model");
        const ErgoResult made =
            call_ergo({"synth", "--config", path("config.json"), "--out", model_, "--seed", "5"});
        QVERIFY2(made.code == 0, made.err);
    }

    void costs_little_and_repeats() {
        const std::vector<double> exact = logits({});
        QCOMPARE(logits({"--cache", "f32"}), exact);
        const std::vector<double> halves = logits({"--cache", "bf16"}), wholes = logits({"--cache", "q8"});
        QVERIFY(difference(exact, halves) > 0 && difference(exact, halves) < 2e-2);
        QVERIFY(difference(exact, wholes) > 0 && difference(exact, wholes) < 2e-2);
        QCOMPARE(logits({"--cache", "q8", "--threads", "1"}), wholes);
        QCOMPARE(logits({"--cache", "q8", "--decode"}), wholes);
        QCOMPARE(logits({"--cache", "bf16", "--decode"}), halves);
    }

    void what_it_costs_is_measured_on_any_text() {
        const auto cost = [&](QStringList more) {
            const ErgoResult r = call_ergo(QStringList{"eval", model_, "--tokens", tokens(), "--against",
                                                       model_, "--backend", "cpu", "--json"} +
                                           more);
            return r.json()["against"].toObject()["mean_kl"].toDouble(-1);
        };
        QCOMPARE(cost({}), 0.0);
        QVERIFY(cost({"--cache", "bf16"}) > 0);
        QVERIFY(cost({"--cache", "q8"}) > 0);
    }

    void the_memory_plan_knows() {
        const auto cache = [&](const char* type) {
            const ErgoResult info = call_ergo({"info", model_, "--json", "--cache", type});
            const QJsonObject cpu = info.json()["memory"].toObject()["cpu"].toObject()["f32"].toObject();
            return cpu["cache_type"].toString() == type ? cpu["cache"].toDouble() : 0;
        };
        const double floats = cache("f32");
        QVERIFY(floats > 0);
        QCOMPARE(cache("bf16"), floats / 2);
        QCOMPARE(cache("q8"), floats * 36 / 128);
        const ErgoResult bench =
            call_ergo({"bench", model_, "-p", "8", "-n", "4", "--backend", "cpu", "--cache", "q8", "--json"});
        QCOMPARE(bench.json()["cache_type"].toString(), QStringLiteral("q8"));
    }

    void refusals() {
        const ErgoResult unknown = call_ergo({"info", model_, "--cache", "q3"});
        QCOMPARE(unknown.code, 2);
        QVERIFY2(is_one_sentence(unknown.err) && unknown.err.contains("f32, bf16 or q8"), unknown.err);
        const QJsonArray devices = call_ergo({"devices", "--json"}).json()["devices"].toArray();
        for (const auto& device : devices) {
            const QString name = device.toObject()["backend"].toString();
            if (name.startsWith("vulkan")) {
                const ErgoResult run = call_ergo({"logits", model_, "--tokens", "1,2", "--out",
                                                  path("none.npy"), "--backend", name, "--cache", "bf16"});
                QCOMPARE(run.code, 1);
                QVERIFY2(run.err.contains("f32 alone"), run.err);
            }
        }
    }
};

QTEST_GUILESS_MAIN(CacheTest)
#include "test_cache.moc"
