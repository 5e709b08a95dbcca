// SPDX-License-Identifier: GPL-3.0-or-later
// A Kotodama model from the command line, as a script uses it: made, described, run, traced, drawn, timed.
#include "engine/tensor/npy.h"

#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

#include <cmath>

namespace {

struct Result {
    int code = -1;
    QByteArray out, err;
    QJsonObject json() const { return QJsonDocument::fromJson(out).object(); }
};

Result run_ergo(const QStringList& words) {
    QProcess process;
    process.start(QStringLiteral(ERGO_BINARY_DIR "/ergo"), words);
    if (!process.waitForFinished(300000) || process.exitStatus() != QProcess::NormalExit) {
        return {};
    }
    return {process.exitCode(), process.readAllStandardOutput(), process.readAllStandardError()};
}

std::vector<double> read(const QString& path) {
    return ergo::read_npy(path.toStdString()).to_doubles();
}

double relative_difference(const std::vector<double>& a, const std::vector<double>& b) {
    double difference = a.size() == b.size() ? 0 : INFINITY, largest = 1e-12;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
        difference = std::max(difference, std::abs(a[i] - b[i]));
        largest = std::max(largest, std::abs(a[i]));
    }
    return difference / largest;
}

} // namespace

class KotodamaCommandsTest : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    QString model_;
    QString path(const char* name) const { return folder_.filePath(name); }

  private slots:
    void initTestCase() {
        QFile config(path("config.json"));
        QVERIFY(config.open(QIODevice::WriteOnly));
        config.write(
            R"({"model_type": "kotodama", "hidden_size": 40, "num_layers": 5, "num_attention_heads": 6,
            "num_kv_heads": 2, "head_dim": 8, "intermediate_size": 50, "vocab_size": 61,
            "max_position_embeddings": 64, "attn_res_boundaries": [0, 3]})");
        config.close();
        model_ = path("model");
        const Result made =
            run_ergo({"synth", "--config", path("config.json"), "--out", model_, "--seed", "3"});
        QVERIFY2(made.code == 0, made.err);
    }

    void synth_knows_the_published_name() {
        QVERIFY(run_ergo({"synth", "--help"}).out.contains("kotodama-108m"));
    }

    void info_says_what_it_is() {
        const Result info = run_ergo({"info", model_, "--json"});
        QVERIFY2(info.code == 0, info.err);
        QCOMPARE(info.json()["family"].toString(), QString("kotodama"));
        QCOMPARE(info.json()["layers"].toInt(), 5);
        QCOMPARE(info.json()["settings"].toObject()["attn_res_boundaries"].toString(), QString("0, 3"));
        QVERIFY(info.json()["problems"].toArray().isEmpty());
        QVERIFY(info.json()["components"].toObject()["depth_routing"].toInt() == (5 * 4 + 2) * 40);
        const Result names = run_ergo({"info", model_, "--observables"});
        QVERIFY(names.out.contains("layers.3.mlp_res.depth  [n, 3]  weight\n"));
        QVERIFY(names.out.contains("final.res.depth  [n, 3]  weight\n"));
        // Without config.json the boundaries are asked for by name.
        QVERIFY(QFile::rename(model_ + "/config.json", path("aside.json")));
        const Result bare = run_ergo({"info", model_});
        QCOMPARE(bare.code, 1);
        QVERIFY2(bare.err.contains("attn_res_boundaries") && bare.err.count('\n') == 1, bare.err);
        const Result told = run_ergo({"info", model_, "--set", "knob.attn_res_boundaries=[0,3]"});
        QVERIFY2(told.code == 0, told.err);
        QVERIFY(QFile::rename(path("aside.json"), model_ + "/config.json"));
    }

    void the_demo_model_solves_an_equation() {
        const Result info = run_ergo({"info", "demo:kotodama", "--json"});
        QVERIFY2(info.code == 0, info.err);
        QCOMPARE(info.json()["family"].toString(), QString("kotodama"));
        QVERIFY(info.json()["problems"].toArray().isEmpty());
        const Result reply = run_ergo({"run", "demo:kotodama", "--chat", "-p", "Solve -3x - 7 = 11"});
        QVERIFY2(reply.code == 0, reply.err);
        QVERIFY2(reply.out.trimmed().endsWith("x = -6"), reply.out);
    }

    void cached_and_whole_logits_agree_on_both_backends() {
        const QString tokens = "5,60,0,17,17,33,2,9";
        for (const auto& [name, words] : {std::pair("whole.npy", QStringList{"--backend", "cpu"}),
                                          {"cached.npy", {"--backend", "cpu", "--decode"}},
                                          {"vulkan.npy", {"--backend", "vulkan"}}}) {
            const Result run =
                run_ergo(QStringList{"logits", model_, "--tokens", tokens, "--out", path(name)} + words);
            if (QByteArray(name) == "vulkan.npy" && run.err.contains("no Vulkan backend")) {
                continue;
            }
            QVERIFY2(run.code == 0, run.err);
            QVERIFY(relative_difference(read(path("whole.npy")), read(path(name))) < 2e-4);
        }
        QCOMPARE(read(path("whole.npy")).size(), std::size_t(8 * 61));
    }

    void trace_and_interventions() {
        const Result run = run_ergo({"trace", model_, "--tokens", "1,2,3", "--out", path("trace.npz")});
        QVERIFY2(run.code == 0, run.err);
        const auto arrays = ergo::read_npz(path("trace.npz").toStdString());
        for (const char* name : {"layers.4.attention", "layers.4.hidden", "layers.4.norm",
                                 "layers.0.attn_res.depth", "layers.4.mlp_res.depth", "final.res.depth"}) {
            QVERIFY2(arrays.contains(name), name);
        }
        const QString whole = path("plain.npy"), changed = path("changed.npy");
        QCOMPARE(run_ergo({"logits", model_, "--tokens", "1,2,3", "--out", whole}).code, 0);
        QCOMPARE(run_ergo({"logits", model_, "--tokens", "1,2,3", "--out", changed, "--set",
                           "layers.*.mlp_res.mask[0]=1"})
                     .code,
                 0);
        QVERIFY(relative_difference(read(whole), read(changed)) > 1e-3);
    }

    void depth_figure_has_the_traced_numbers() {
        for (const char* name : {"depth.pdf", "depth.png", "depth.csv"}) {
            const Result drawn =
                run_ergo({"figure", path("trace.npz"), "--view", "depth", "--token", "2", "-o", path(name)});
            QVERIFY2(drawn.code == 0, drawn.err);
        }
        QFile csv(path("depth.csv"));
        QVERIFY(csv.open(QIODevice::ReadOnly));
        const QByteArray text = csv.readAll();
        const auto depth = ergo::read_npz(path("trace.npz").toStdString()).at("final.res.depth").to_doubles();
        const QByteArray line = text.mid(text.indexOf("output,,layers 3–4,")).split('\r').first();
        QVERIFY(std::abs(line.split(',').last().toDouble() - depth[2 * 3 + 2]) < 1e-6);
        const Result of_model =
            run_ergo({"figure", model_, "--tokens", "4,5,6", "--view", "depth", "-o", path("model.svg")});
        QVERIFY2(of_model.code == 0, of_model.err);
        const Result none =
            run_ergo({"figure", "demo:moa", "--tokens", "4", "--view", "depth", "-o", path("none.svg")});
        QVERIFY(none.code != 0);
        QVERIFY2(none.err.contains("no attention over depth"), none.err);
    }

    void bench_runs_with_what_the_lenses_watch() {
        const Result bench =
            run_ergo({"bench", model_, "-p", "16", "-n", "4", "--observe", "lenses", "--json"});
        QVERIFY2(bench.code == 0, bench.err);
        QVERIFY(bench.json()["generate_tokens_per_second"].toDouble() > 0);
    }

    void without_a_tokenizer_there_is_no_text() {
        const Result run = run_ergo({"run", model_, "-p", "Hello"});
        QVERIFY(run.code != 0);
        QVERIFY2(run.err.contains("no tokenizer"), run.err);
    }
};

QTEST_GUILESS_MAIN(KotodamaCommandsTest)
#include "test_kotodama.moc"
