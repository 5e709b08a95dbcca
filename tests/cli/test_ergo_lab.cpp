// SPDX-License-Identifier: GPL-3.0-or-later
// eval, ablate, verify, recipes and taken tokens as a script sees them.
#include "engine/tensor/npy.h"

#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <csignal>

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

bool one_line(const QByteArray& text) {
    return text.count('\n') == 1 && text.endsWith('\n') && text.size() > 20;
}

} // namespace

class ErgoLabTest : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    QString path(const char* name) const { return folder_.filePath(name); }
    QString file(const char* name, const QByteArray& content) const {
        QFile out(path(name));
        if (!out.open(QIODevice::WriteOnly) || out.write(content) != content.size()) {
            return {};
        }
        return out.fileName();
    }

  private slots:
    void eval_is_what_the_logits_say() {
        const QByteArray content = "Solve 3x + 2 = 17 and then\nsay so twice.\n";
        const QString text = file("text.txt", content);
        const Result r = run_ergo({"eval", "demo:moa", "-f", text, "--json"});
        QVERIFY2(r.code == 0, r.err);
        const QString ids =
            QString(run_ergo({"tokenize", "demo:moa", "-f", text, "--special"}).out).trimmed();
        QCOMPARE(run_ergo({"logits", "demo:moa", "--tokens", ids, "--out", path("l.npy")}).code, 0);
        const auto array = ergo::read_npy(path("l.npy").toStdString());
        const auto logits = array.to_doubles();
        const QStringList tokens = ids.split(',');
        const auto width = static_cast<qsizetype>(array.shape[1]);
        double nll = 0;
        for (qsizetype t = 1; t < tokens.size(); ++t) {
            double sum = 0;
            const double* row = logits.data() + (t - 1) * width;
            for (qsizetype i = 0; i < width; ++i) {
                sum += std::exp(row[i]);
            }
            nll += std::log(sum) - row[tokens[t].toInt()];
        }
        const QJsonObject json = r.json();
        const double n = double(tokens.size() - 1);
        QCOMPARE(json["tokens"].toDouble(), n);
        QVERIFY(std::abs(json["nll"].toDouble() - nll) < 1e-4 * nll);
        QVERIFY(std::abs(json["perplexity"].toDouble() / std::exp(nll / n) - 1) < 1e-4);
        QVERIFY(std::abs(json["word_perplexity"].toDouble() / std::exp(nll / 11) - 1) < 1e-3);
        QVERIFY(std::abs(json["bits_per_byte"].toDouble() * std::log(2.0) * double(content.size()) / nll -
                         1) < 1e-4);
        QVERIFY(json["tokens_per_second"].toDouble() > 0);
        // The same from ids, which know no words; and with the start token one prediction more.
        const Result by_ids = run_ergo({"eval", "demo:moa", "--tokens", ids, "--json"});
        QCOMPARE(by_ids.json()["nll"].toDouble(), json["nll"].toDouble());
        QVERIFY(by_ids.json()["word_perplexity"].isNull() && by_ids.json()["bits_per_byte"].isNull());
        const Result table = run_ergo({"eval", "demo:moa", "-f", text, "--window", "8", "--stride", "4"});
        QVERIFY2(table.code == 0 && table.out.contains("word perplexity"), table.err);
    }

    void eval_refuses_in_one_sentence() {
        const QString text = file("t.txt", "a b c");
        for (const QStringList& words :
             {QStringList{"eval", "demo:moa"}, QStringList{"eval", "demo:moa", "-f", text, "--tokens", "1,2"},
              QStringList{"eval", "demo:moa", "-f", text, "--window", "1000000"},
              QStringList{"eval", "demo:moa", "-f", text, "--window", "4", "--stride", "5"},
              QStringList{"eval", "demo:moa", "--tokens", "1"},
              QStringList{"ablate", "demo:moa", "-f", text, "--grid", "ears"},
              QStringList{"eval", "demo:moa", "-f", file("empty.txt", "")}}) {
            const Result r = run_ergo(words);
            QVERIFY2(r.code == 2 && one_line(r.err) && r.out.isEmpty(), r.err);
        }
        QCOMPARE(run_ergo({"eval", "demo:moa", "-f", path("absent.txt")}).code, 1);
    }

    void an_interrupt_ends_it_at_once() {
        QByteArray much;
        while (much.size() < 300000) {
            much += "Solve 3x + 2 = 17 and then say so twice. ";
        }
        QProcess process;
        process.start(QStringLiteral(ERGO_BINARY_DIR "/ergo"),
                      {"eval", "demo:moa", "-f", file("much.txt", much), "--window", "64"});
        QVERIFY(process.waitForStarted());
        QTest::qSleep(1500);
        QVERIFY2(process.state() == QProcess::Running, "the text is too short for this test");
        ::kill(static_cast<pid_t>(process.processId()), SIGINT);
        QVERIFY(process.waitForFinished(10000));
        QCOMPARE(process.exitStatus(), QProcess::NormalExit);
        QCOMPARE(process.exitCode(), 1);
        const QByteArray err = process.readAllStandardError();
        QVERIFY2(err.count('\n') == 1, err);
        QVERIFY(process.readAllStandardOutput().isEmpty());
    }

    void ablate_has_a_row_for_each_intervention() {
        const QString text = file("text2.txt", "Solve 3x + 2 = 17 and then say so twice.");
        const Result r =
            run_ergo({"ablate", "demo:moa", "-f", text, "--grid", "topk,balls,metric", "--json"});
        QVERIFY2(r.code == 0, r.err);
        const QJsonArray rows = r.json()["rows"].toArray();
        const double baseline = r.json()["baseline"].toObject()["nll"].toDouble();
        QCOMPARE(rows.size(), 7 + 1 + 2);
        const Result one = run_ergo({"eval", "demo:moa", "-f", text, "--set", "*.router.topk=1", "--json"});
        for (const auto& row : rows) {
            const QJsonObject each = row.toObject();
            QVERIFY2(each.contains("perplexity") || each.contains("problem"), r.out);
            if (each["set"].toArray().first().toString() == "*.router.topk=1") {
                QVERIFY(std::abs(each["nll"].toDouble() - one.json()["nll"].toDouble()) < 1e-6);
                QVERIFY(each["nll"].toDouble() != baseline);
            }
        }
        const Result table = run_ergo({"ablate", "demo:moa", "-f", text, "--grid", "paths"});
        QVERIFY2(table.code == 0 && table.out.contains("without MetricMH"), table.err);
    }

    void verify_prints_the_largest_error() {
        const Result r = run_ergo({"verify", "demo:moa", "--backend", "cpu"});
        QVERIFY2(r.code == 0, r.err);
        QVERIFY(r.out.contains("largest error") && r.out.contains("own weights"));
        const QJsonObject json = run_ergo({"verify", "demo:moa", "--backend", "cpu", "--json"}).json();
        QVERIFY(json["passed"].toBool() && json["rows"].toArray().size() > 20);
        QVERIFY(json["largest_error"].toDouble() > 0 && json["largest_error"].toDouble() < 2e-4);
    }

    void a_recipe_is_its_settings() {
        const QString recipe = path("recipe.json");
        const QStringList words{"run", "demo:moa", "-p", "Solve", "-n", "12"};
        const QStringList changes{
            "--set", "*.router.topk=1", "--temperature", "1.5", "--seed", "3", "--top-k", "20"};
        const Result direct = run_ergo(words + changes + QStringList{"--save-recipe", recipe});
        QVERIFY2(direct.code == 0, direct.err);
        const Result by_recipe = run_ergo(words + QStringList{"--recipe", recipe});
        QVERIFY2(by_recipe.code == 0, by_recipe.err);
        QCOMPARE(by_recipe.out, direct.out);
        QVERIFY(run_ergo(words + QStringList{"--recipe", recipe, "--seed", "4"}).out != direct.out);
        const Result newer = run_ergo(
            words +
            QStringList{"--recipe", file("new.json", R"({"format": "ergosphere-recipe", "version": 2})")});
        QVERIFY2(newer.code == 1 && one_line(newer.err) && newer.err.contains("version 2"), newer.err);
        QCOMPARE(run_ergo(words + QStringList{"--recipe", path("absent.json")}).code, 1);
    }

    void a_token_is_taken_instead() {
        const QStringList words{"run", "demo:moa", "-p", "Solve", "-n", "6"};
        const Result plain = run_ergo(words);
        const QString id = QString(run_ergo({"tokenize", "demo:moa", "Q"}).out).trimmed().split(',').first();
        const Result taken = run_ergo(words + QStringList{"--take", "2=" + id});
        QVERIFY2(taken.code == 0, taken.err);
        QVERIFY(taken.out != plain.out && taken.out.contains('Q'));
        QCOMPARE(run_ergo(words + QStringList{"--take", "two"}).code, 2);
        QCOMPARE(run_ergo(words + QStringList{"--take", "0=99999999"}).code, 2);
    }
};

QTEST_GUILESS_MAIN(ErgoLabTest)
#include "test_ergo_lab.moc"
