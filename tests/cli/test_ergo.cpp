// SPDX-License-Identifier: GPL-3.0-or-later
// The command line as a script sees it: the built `ergo`, its exit codes, its files.
#include "engine/tensor/npy.h"

#include <QCryptographicHash>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QTemporaryDir>
#include <QTest>

#include <cmath>
#include <cstring>

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

std::vector<float> floats(const ergo::NpyArray& array) {
    std::vector<float> values(array.data.size() / sizeof(float));
    std::memcpy(values.data(), array.data.data(), array.data.size());
    return values;
}

double relative_difference(const std::vector<float>& a, const std::vector<float>& b) {
    double difference = 0, largest = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        difference = std::max(difference, std::abs(double(a[i]) - double(b[i])));
        largest = std::max(largest, std::abs(double(a[i])));
    }
    return difference / largest;
}

bool one_line(const QByteArray& text) {
    return text.count('\n') == 1 && text.endsWith('\n') && text.size() > 20;
}

} // namespace

class ErgoTest : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    QString path(const char* name) const { return folder_.filePath(name); }

  private slots:
    void help_lists_every_command() {
        const Result overview = run_ergo({"--help"});
        QCOMPARE(overview.code, 0);
        for (const char* command : {"info", "tokenize", "detokenize", "run", "logits", "trace", "synth",
                                    "figure", "bench", "devices"}) {
            QVERIFY2(overview.out.contains(command), command);
            const Result help = run_ergo({command, "--help"});
            QCOMPARE(help.code, 0);
            QVERIFY2(help.out.startsWith("Usage: ergo "), command);
        }
    }

    void wrong_usage_is_2_with_one_sentence_data() {
        QTest::addColumn<QStringList>("words");
        QTest::newRow("no such command") << QStringList{"conquer"};
        QTest::newRow("no model") << QStringList{"info"};
        QTest::newRow("unknown option") << QStringList{"info", "demo:moa", "--loud"};
        QTest::newRow("not a number") << QStringList{"run", "demo:moa", "-p", "x", "-n", "many"};
        QTest::newRow("negative number") << QStringList{"run", "demo:moa", "-p", "x", "-n", "-3"};
        QTest::newRow("temperature") << QStringList{"run", "demo:moa", "-p", "x", "--temperature", "-1"};
        QTest::newRow("bad ids") << QStringList{"logits", "demo:moa", "--tokens", "1,x", "--out", "a.npy"};
        QTest::newRow("id out of range")
            << QStringList{"logits", "demo:moa", "--tokens", "1,99999999", "--out", "a.npy"};
        QTest::newRow("extension") << QStringList{"logits", "demo:moa", "--tokens", "1", "--out", "a.txt"};
        QTest::newRow("no such demo") << QStringList{"info", "demo:nothing"};
        QTest::newRow("no such backend") << QStringList{"run", "demo:moa", "-p", "x", "--backend", "abacus"};
        QTest::newRow("no such observable") << QStringList{
            "trace", "demo:moa", "--tokens", "1", "--observe", "layers.0.nothing", "--out", "a.npz"};
        QTest::newRow("no such knob") << QStringList{"run", "demo:moa", "-p", "x", "--set", "knob.nothing=1"};
        QTest::newRow("no such parameter")
            << QStringList{"run", "demo:moa", "-p", "x", "--set", "layers.0.nothing=1"};
    }
    void wrong_usage_is_2_with_one_sentence() {
        QFETCH(QStringList, words);
        const Result r = run_ergo(words);
        QVERIFY2(r.code == 2, r.err);
        QVERIFY2(one_line(r.err), r.err);
        QVERIFY(r.out.isEmpty());
    }

    void failure_is_1_with_one_sentence() {
        QFile junk(path("junk.safetensors"));
        QVERIFY(junk.open(QIODevice::WriteOnly));
        junk.write("this is no checkpoint at all");
        junk.close();
        for (const QString& model : {path("absent"), path("junk.safetensors"), folder_.path()}) {
            const Result r = run_ergo({"info", model});
            QVERIFY2(r.code == 1, qPrintable(model + ": " + r.err));
            QVERIFY2(one_line(r.err), r.err);
        }
        const Result full =
            run_ergo({"logits", "demo:moa", "--tokens", "1,2", "--out", "/dev/null/nowhere.npy"});
        QCOMPARE(full.code, 1);
        QVERIFY2(one_line(full.err), full.err);
    }

    void info_has_the_contracts_keys() {
        const Result r = run_ergo({"info", "demo:moa", "--json"});
        QVERIFY2(r.code == 0, r.err);
        const QJsonObject info = r.json();
        for (const char* key : {"family", "parameters", "components", "layers", "heads", "vocab", "context",
                                "dtype", "tokenizer", "memory", "problems"}) {
            QVERIFY2(info.contains(key), key);
        }
        QCOMPARE(info["family"].toString(), QString("moa"));
        double sum = 0;
        for (const auto& component : info["components"].toObject()) {
            sum += component.toDouble();
        }
        QCOMPARE(sum, info["parameters"].toDouble());
        QVERIFY(info["parameters"].toDouble() >= 1.5e6 && info["parameters"].toDouble() <= 6e6);
        QVERIFY(run_ergo({"info", "demo:moa", "--observables"})
                    .out.contains("layers.0.metric_attention.attention"));
    }

    void info_lists_tensors_statistics_and_digests() {
        const Result r = run_ergo({"info", "demo:moa", "--stats", "--sha256", "--json"});
        QVERIFY2(r.code == 0, r.err);
        const QJsonArray tensors = r.json()["tensors"].toArray();
        QVERIFY(tensors.size() > 20);
        double elements = 0;
        for (const auto& item : tensors) {
            const QJsonObject tensor = item.toObject();
            double count = 1, counted = 0;
            for (const auto& size : tensor["shape"].toArray()) {
                count *= size.toDouble();
            }
            for (const auto& bin : tensor["stats"].toObject()["histogram"].toArray()) {
                counted += bin.toDouble();
            }
            const QJsonObject stats = tensor["stats"].toObject();
            QCOMPARE(counted + stats["not_finite"].toDouble(), count);
            QVERIFY(stats["min"].toDouble() <= stats["mean"].toDouble() &&
                    stats["mean"].toDouble() <= stats["max"].toDouble());
            elements += count;
        }
        QVERIFY(elements >= r.json()["parameters"].toDouble());
        QFile weights(ERGO_SOURCE_DIR "/resources/demo/moa/model.safetensors");
        QVERIFY(weights.open(QIODevice::ReadOnly));
        QCryptographicHash hash(QCryptographicHash::Sha256);
        QVERIFY(hash.addData(&weights));
        QCOMPARE(r.json()["files"].toArray().first().toObject()["sha256"].toString(),
                 QString(hash.result().toHex()));
        const Result text = run_ergo({"info", "demo:moa", "--tensors", "--sha256"});
        QCOMPARE(text.code, 0);
        QVERIFY(text.out.contains(hash.result().toHex()));
        QVERIFY(text.out.contains(tensors.first().toObject()["name"].toString().toUtf8()));
    }

    void what_fits_no_family_can_still_be_looked_at() {
        // One tensor of a model nobody knows.
        const QByteArray header =
            "{\"strange\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}    ";
        QFile file(path("strange.safetensors"));
        QVERIFY(file.open(QIODevice::WriteOnly));
        const qint64 size = header.size();
        file.write(reinterpret_cast<const char*>(&size), 8);
        const float values[2] = {1, 3};
        file.write(header + QByteArray(reinterpret_cast<const char*>(values), 8));
        file.close();
        const Result r = run_ergo({"info", path("strange.safetensors"), "--stats", "--json"});
        QVERIFY2(r.code == 0, r.err);
        QCOMPARE(r.json()["tensors"].toArray().first().toObject()["stats"].toObject()["mean"].toDouble(),
                 2.0);
    }

    void a_figure_of_an_altered_model_says_so() {
        const QStringList what = {"figure", "demo:moa", "--tokens", "1,2,3,4", "--view", "router", "-o"};
        QCOMPARE(run_ergo(what + QStringList{path("own.svg")}).code, 0);
        const Result r = run_ergo(what + QStringList{path("altered.svg"), "--set", "layers.*.router.topk=1"});
        QVERIFY2(r.code == 0, r.err);
        QFile own(path("own.svg")), altered(path("altered.svg"));
        QVERIFY(own.open(QIODevice::ReadOnly) && altered.open(QIODevice::ReadOnly));
        QVERIFY(!own.readAll().contains("altered"));
        const QByteArray svg = altered.readAll();
        QVERIFY(svg.contains("f32 · altered: layers.*.router.topk=1"));                 // inside the file
        QVERIFY(svg.contains("Shares of the paths · altered: layers.*.router.topk=1")); // and on the paper
    }

    void a_kept_figure_is_drawn_again() {
        const QStringList what = {"figure", "demo:moa", "--tokens", "1,2,3,4", "--view", "attention"};
        for (const QString file : {"kept.npz", "direct.pdf", "direct.csv"}) {
            const Result r = run_ergo(what + QStringList{"-o", folder_.filePath(file)});
            QVERIFY2(r.code == 0, r.err);
        }
        const auto contents = [&](const QString& name) {
            QFile in(folder_.filePath(name));
            return in.open(QIODevice::ReadOnly) ? in.readAll() : QByteArray(name.toUtf8());
        };
        for (const QString ending : {"pdf", "csv"}) {
            const Result r =
                run_ergo({"figure", path("kept.npz"), "-o", folder_.filePath("again." + ending)});
            QVERIFY2(r.code == 0, r.err);
            QVERIFY(contents("again." + ending) == contents("direct." + ending));
        }
        const Result wide =
            run_ergo({"figure", path("kept.npz"), "--width", "183mm", "-o", path("wide.pdf")});
        QVERIFY2(wide.code == 0, wide.err);
        QVERIFY(contents("wide.pdf") != contents("direct.pdf"));
        QCOMPARE(run_ergo({"figure", path("kept.npz"), "--view", "router", "-o", path("no.pdf")}).code, 2);
    }

    void text_survives_the_tokenizer() {
        const QString text = QStringLiteral("Solve -3x - 7 = 11 · naïve 模型 🙂");
        const Result ids = run_ergo({"tokenize", "demo:moa", text});
        QVERIFY2(ids.code == 0, ids.err);
        const QString tokenizer = QStringLiteral(ERGO_SOURCE_DIR "/resources/demo/moa/tokenizer.json");
        QCOMPARE(run_ergo({"tokenize", tokenizer, text}).out, ids.out);
        const Result speed = run_ergo({"tokenize", "demo:moa", text, "--speed"});
        QVERIFY2(speed.code == 0 && speed.out.contains(" MB/s on one core: "), speed.out + speed.err);
        const Result back = run_ergo({"detokenize", "demo:moa", QString(ids.out).trimmed()});
        QCOMPARE(QString::fromUtf8(back.out), text + "\n");
        const Result json = run_ergo({"tokenize", "demo:moa", "<|user|>hi", "--json"});
        QCOMPARE(json.json()["tokens"].toArray().first().toString(), QString("<|user|>"));
        QCOMPARE(json.json()["ids"].toArray().size(), json.json()["tokens"].toArray().size());
    }

    void cached_and_uncached_logits_agree_and_the_trace_has_them() {
        const QString tokens =
            QString(run_ergo({"tokenize", "demo:moa", "<|user|>Solve 3x + 2 = 17<|assistant|>"}).out)
                .trimmed();
        QCOMPARE(run_ergo({"logits", "demo:moa", "--tokens", tokens, "--out", path("full.npy")}).code, 0);
        QCOMPARE(
            run_ergo({"logits", "demo:moa", "--tokens", tokens, "--out", path("step.npy"), "--decode"}).code,
            0);
        QCOMPARE(run_ergo({"trace", "demo:moa", "--tokens", tokens, "--out", path("t.npz")}).code, 0);
        const auto full = floats(ergo::read_npy(path("full.npy").toStdString()));
        const auto step = floats(ergo::read_npy(path("step.npy").toStdString()));
        auto trace = ergo::read_npz(path("t.npz").toStdString());
        QVERIFY(full.size() > 1000 && full.size() == step.size());
        QVERIFY(relative_difference(full, step) < 2e-4);
        QCOMPARE(relative_difference(full, floats(trace.at("logits"))), 0.0);
        const auto n = static_cast<std::int64_t>(tokens.count(',') + 1);
        const auto& attention = trace.at("layers.0.metric_attention.attention");
        QCOMPARE(attention.shape[1], n);
        const auto weights = floats(attention);
        for (std::int64_t row = 0; row < attention.shape[0] * n; ++row) {
            double sum = 0;
            for (std::int64_t j = 0; j < n; ++j) {
                sum += weights[static_cast<std::size_t>(row * n + j)];
            }
            QVERIFY2(std::abs(sum - 1) < 1e-4, "a row of attention does not sum to 1");
        }
    }

    void endless_files_are_refused() {
        for (const QStringList& words : {QStringList{"tokenize", "demo:moa", "-f", "/dev/zero"},
                                         {"info", "/dev/zero"},
                                         {"template", "demo:moa", "-f", "/dev/zero"},
                                         {"synth", "--config", "/dev/zero", "--out", path("z")}}) {
            const Result r = run_ergo(words);
            QVERIFY2(r.code == 1 && !r.err.isEmpty(), words.join(' ').toUtf8());
        }
    }

    void it_solves_an_equation_and_says_how_fast() {
        const Result r = run_ergo({"run", "demo:moa", "--chat", "-p", "Solve 3x + 2 = 17"});
        QVERIFY2(r.code == 0, r.err);
        QVERIFY2(r.out.trimmed().endsWith("5"), r.out);
        QVERIFY2(r.err.contains("tokens/s") && r.err.contains("context"), r.err);
        QVERIFY2(r.err.contains("first token ") && r.err.contains(" of mapped files, at most ") &&
                     r.err.contains(" at once; planned "),
                 r.err);
    }

    void same_seed_same_text_whatever_the_threads() {
        const QStringList words{"run", "demo:moa", "--chat", "-p", "Hello", "--temperature",
                                "1",   "--seed",   "5",      "-n", "40"};
        const Result one = run_ergo(words + QStringList{"--threads", "1"}),
                     two = run_ergo(words + QStringList{"--threads", "2"}),
                     pinned = run_ergo(words + QStringList{"--threads", "2", "--pin", "--backend", "cpu"});
        QVERIFY(one.code == 0 && !one.out.isEmpty());
        QCOMPARE(one.out, two.out);
        QCOMPARE(one.out, pinned.out);
    }

    void stop_strings_and_special_tokens_in_text() {
        const Result stopped =
            run_ergo({"run", "demo:moa", "--chat", "-p", "Solve 3x + 2 = 17", "--stop", "="});
        QCOMPARE(stopped.code, 0);
        QVERIFY(!stopped.out.contains('='));
    }

    void an_intervention_changes_the_numbers_and_nothing_else() {
        const QStringList words{"logits", "demo:moa", "--tokens", "5,6,7,8,9,10,11,12", "--out"};
        QCOMPARE(run_ergo(words + QStringList{path("a.npy")}).code, 0);
        QCOMPARE(run_ergo(words + QStringList{path("b.npy"), "--set", "layers.*.router.topk=1"}).code, 0);
        QCOMPARE(
            run_ergo(words + QStringList{path("c.npy"), "--set", "layers.0.metric_attention.alpha[0]*=1"})
                .code,
            0);
        QCOMPARE(run_ergo(words + QStringList{path("d.npy"), "--set", "layers.1.metric_mqa.mask[2]=1"}).code,
                 0);
        QCOMPARE(run_ergo(words + QStringList{path("e.npy"), "--set", "layers.1.metric_mqa.keep[2]=0"}).code,
                 0);
        const auto a = floats(ergo::read_npy(path("a.npy").toStdString()));
        const auto d = floats(ergo::read_npy(path("d.npy").toStdString()));
        QVERIFY(relative_difference(a, d) > 1e-5);
        QCOMPARE(relative_difference(d, floats(ergo::read_npy(path("e.npy").toStdString()))), 0.0);
        QVERIFY(relative_difference(a, floats(ergo::read_npy(path("b.npy").toStdString()))) > 1e-4);
        QCOMPARE(relative_difference(a, floats(ergo::read_npy(path("c.npy").toStdString()))), 0.0);
    }

    void weights_run_in_another_type() {
        const QStringList words{"logits", "demo:moa", "--tokens", "5,6,7,8,9,10", "--out"};
        const auto with = [&](const char* dtype) {
            const QString file = path(dtype) + ".npy";
            const Result r = run_ergo(words + QStringList{file, "--dtype", dtype});
            return r.code == 0 ? floats(ergo::read_npy(file.toStdString())) : std::vector<float>();
        };
        const auto stored = with("checkpoint"), wide = with("f32"), half = with("f16");
        QVERIFY(!stored.empty() && stored.size() == wide.size() && stored.size() == half.size());
        QVERIFY(relative_difference(stored, wide) < 1e-5); // bf16 widened is exact
        QVERIFY(relative_difference(stored, half) < 1e-2);
        const Result q8 = run_ergo(words + QStringList{path("q8.npy"), "--dtype", "q8"});
        QVERIFY2(q8.code == 0, q8.err);
        QVERIFY(relative_difference(stored, with("q8")) < 0.1 && relative_difference(stored, with("q8")) > 0);
        QVERIFY(relative_difference(stored, with("q4")) < 0.5);
        QCOMPARE(run_ergo(words + QStringList{path("x.npy"), "--dtype", "f17"}).code, 2);
    }

    void synth_writes_what_info_reads() {
        const QString out = path("synth");
        QVERIFY(QFile::exists(ERGO_SOURCE_DIR "/resources/demo/moa/config.json"));
        const Result made = run_ergo({"synth", "--config", ERGO_SOURCE_DIR "/resources/demo/moa/config.json",
                                      "--out", out, "--dtype", "bf16", "--seed", "3"});
        QVERIFY2(made.code == 0, made.err);
        const QJsonObject info = run_ergo({"info", out, "--json"}).json();
        QCOMPARE(info["parameters"].toDouble(),
                 run_ergo({"info", "demo:moa", "--json"}).json()["parameters"].toDouble());
        QCOMPARE(info["tokenizer"], QJsonValue(QJsonValue::Null));
        QCOMPARE(run_ergo({"logits", out, "--tokens", "1,2,3", "--out", path("s.npy")}).code, 0);
        const Result text = run_ergo({"run", out, "-p", "hello"});
        QVERIFY2(text.code == 2 && one_line(text.err), text.err);
    }

    void gravity_from_synth_to_figure() {
        const QString config = path("qwen2.json"), out = path("gravity");
        QFile file(config);
        QVERIFY(file.open(QIODevice::WriteOnly));
        file.write(R"({"model_type": "qwen2", "vocab_size": 61, "hidden_size": 24, "intermediate_size": 40,
                       "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 2,
                       "rms_norm_eps": 1e-6, "rope_theta": 10000, "tie_word_embeddings": true,
                       "max_position_embeddings": 64})");
        file.close();
        const Result made =
            run_ergo({"synth", "--config", config, "--out", out, "--set", "knob.masses=file"});
        QVERIFY2(made.code == 0, made.err);
        const QJsonObject info = run_ergo({"info", out, "--json"}).json();
        QCOMPARE(info["family"].toString(), QString("gravity"));
        QVERIFY(info["why"].toString().contains("gravity_mass_log.pt"));
        QVERIFY(info["problems"].toArray().isEmpty());
        const QJsonObject dot = run_ergo({"info", out, "--json", "--set", "knob.attention=dot"}).json();
        QVERIFY(dot["problems"].toArray().at(0).toString().contains("dot-product"));
        const Result trace = run_ergo({"trace", out, "--tokens", "1,2,3,4,5", "--out", path("g.npz"), "--set",
                                       "layers.1.mass[2]*=0.5", "--set", "layers.0.mask[1]=1"});
        QVERIFY2(trace.code == 0, trace.err);
        for (const char* view : {"mass", "drift", "horizon"}) {
            const Result drawn =
                run_ergo({"figure", out, "--tokens", "1,2,3", "--view", view, "-o", path("m.csv")});
            QVERIFY2(drawn.code == 0, drawn.err);
        }
        const Result ratio = run_ergo(
            {"figure", path("g.npz"), "--view", "attention", "--scale", "ratio", "-o", path("ratio.pdf")});
        QVERIFY2(ratio.code == 0, ratio.err);
        const Result none =
            run_ergo({"figure", "demo:moa", "-p", "1 + 1", "--view", "mass", "-o", path("n.csv")});
        QVERIFY2(none.code == 2 && one_line(none.err), none.err);
        const Result run = run_ergo({"run", out, "--tokens", "3,4,5", "-n", "8"});
        QVERIFY2(run.code == 0 && !run.out.isEmpty(), run.err);
    }

    void bench_and_devices_speak_json() {
        const Result bench = run_ergo({"bench", "demo:moa", "-p", "32", "-n", "8", "--repetitions", "1",
                                       "--observe", "lenses", "--json"});
        QVERIFY2(bench.code == 0, bench.err);
        for (const char* key :
             {"prompt_tokens_per_second", "generate_tokens_per_second", "bytes_per_token", "bandwidth_share",
              "peak_memory", "weight_bytes_read", "host_ops", "observed_share"}) {
            QVERIFY2(bench.json().contains(key), key);
        }
        QVERIFY(bench.json()["generate_tokens_per_second"].toDouble() > 0);
        const QJsonArray devices = run_ergo({"devices", "--json"}).json()["devices"].toArray();
        QCOMPARE(devices.first().toObject()["backend"].toString(), QString("cpu"));
    }

    void figure_writes_every_format() {
        for (const char* view : {"attention", "router", "balls"}) {
            for (const char* format : {"pdf", "svg", "png", "csv"}) {
                const QString file = path("figure.") + format;
                QFile::remove(file);
                const Result r =
                    run_ergo({"figure", "demo:moa", "-p", "Solve 3x + 2 = 17", "--view", view, "-o", file});
                QVERIFY2(r.code == 0, r.err);
                QVERIFY2(QFile(file).size() > 200, format);
            }
        }
    }
};

QTEST_GUILESS_MAIN(ErgoTest)
#include "test_ergo.moc"
