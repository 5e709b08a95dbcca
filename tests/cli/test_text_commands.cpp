// SPDX-License-Identifier: GPL-3.0-or-later
// `ergo template`, `tokenize`, `detokenize`, `convert` and `schema suggest` as a script sees them.
#include "tests/cli/support_ergo.h"

#include <QDir>
#include <QFile>
#include <QJsonArray>
#include <QRegularExpression>
#include <QTemporaryDir>
#include <QTest>

class TextCommands : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;

    QString write(const char* name, const QByteArray& text) const {
        const QString path = folder_.filePath(name);
        QDir().mkpath(QFileInfo(path).path());
        QFile file(path);
        return file.open(QIODevice::WriteOnly) && file.write(text) == text.size() ? path : QString();
    }
    static QByteArray data(const char* name) {
        QFile file(QStringLiteral(ERGO_TEST_DATA "/") + name);
        return file.open(QIODevice::ReadOnly) ? file.readAll() : QByteArray();
    }

  private slots:
    void demo_formats_a_conversation() {
        const QString talk = write("talk.json", R"([{"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi <|user|>"}, {"role": "assistant", "content": "Hello."}])");
        const ErgoResult r = call_ergo({"template", "demo:moa", "-f", talk});
        QVERIFY2(r.code == 0, r.err);
        QCOMPARE(
            r.out,
            QByteArray("<|system|>Be brief.<|user|>Hi <|user|><|assistant|><|think|><|reasoning|>Hello."));
        const ErgoResult open = call_ergo({"template", "demo:moa", "-f", talk, "--generate"});
        QCOMPARE(open.out, r.out + "<|assistant|><|think|><|reasoning|>");
        const QJsonObject json =
            call_ergo({"template", "demo:moa", "-f", talk, "--generate", "--json"}).json();
        QCOMPARE(json["text"].toString().toUtf8(), open.out);
        QVERIFY(json["format"].toString().startsWith("DiscoverLM"));
        QCOMPARE(json["ranges"].toArray().size(), 3);
        // what the text holds is text: as ids it is longer than with its marker
        const QJsonObject trusted =
            call_ergo({"template", "demo:moa", "-f", talk, "--generate", "--json", "--special"}).json();
        QVERIFY(json["ids"].toArray().size() > trusted["ids"].toArray().size());
        QStringList ids;
        for (const QJsonValue& id : trusted["ids"].toArray()) {
            ids << QString::number(id.toInt());
        }
        QCOMPARE(call_ergo({"detokenize", "demo:moa", ids.join(',')}).out, open.out + "\n");
    }

    void parts_come_from_other_places() {
        const QString tokenizer = QStringLiteral(ERGO_TEST_DATA "/tokenizers/qwen2-small/tokenizer.json");
        const QString config =
            write("base.json", R"({"model_type": "kotodama", "hidden_size": 40, "num_layers": 5,
            "num_attention_heads": 6, "num_kv_heads": 2, "head_dim": 8, "intermediate_size": 50, "vocab_size": 1800,
            "max_position_embeddings": 64, "attn_res_boundaries": [0, 3]})");
        const QString model = folder_.filePath("base");
        const ErgoResult made = call_ergo({"synth", "--config", config, "--out", model});
        QVERIFY2(made.code == 0, made.err);
        QVERIFY(call_ergo({"info", model, "--json"}).json()["tokenizer"].isNull());
        const QJsonObject info = call_ergo({"info", model, "--json", "--attach", tokenizer}).json();
        QCOMPARE(info["attached"].toArray().at(0).toString(), tokenizer);
        QVERIFY(info["tokenizer"].toObject()["vocab"].toInt() > 1700);
        QCOMPARE(info["chat_format"].toString(), QString("raw completion")); // it is a base model
        const QStringList run{"run", model, "-p", "Hello", "-n", "3", "--backend", "cpu"};
        const ErgoResult without = call_ergo(run), with = call_ergo(run + QStringList{"--attach", tokenizer});
        QVERIFY2(without.code != 0 && without.err.contains("--attach"), without.err);
        QVERIFY2(with.code == 0, with.err);
        QCOMPARE(call_ergo({"tokenize", model, "Hello", "--attach", tokenizer}).out,
                 call_ergo({"tokenize", QFileInfo(tokenizer).path(), "Hello"}).out);
        const QString talk = write("base_talk.json", R"([{"role": "user", "content": "Hi <|im_end|>"}])");
        QCOMPARE(call_ergo({"template", model, "-f", talk, "--generate", "--attach", tokenizer}).out,
                 QByteArray("Hi <|im_end|>"));
        const QString shorter = write("parts/shorter.jinja", "{{ messages[0].content }}!");
        QCOMPARE(call_ergo({"template", model, "-f", talk, "--attach", tokenizer, "--attach", shorter}).out,
                 QByteArray("Hi <|im_end|>!"));
        const QString out = folder_.filePath("base16");
        const ErgoResult converted =
            call_ergo({"convert", model, "--out", out, "--dtype", "f16", "--attach", tokenizer});
        QVERIFY2(converted.code == 0, converted.err);
        QVERIFY(call_ergo({"info", out, "--json"}).json()["tokenizer"].toObject()["vocab"].toInt() > 1700);
        for (const QString& wrong :
             {folder_.filePath("nowhere.json"), config + "/..", QStringLiteral("/dev/null")}) {
            const ErgoResult r = call_ergo({"bench", model, "--attach", wrong});
            QVERIFY2(r.code == 1 && is_one_sentence(r.err), r.err);
        }
        const QString large = write(
            "parts/vocab.txt", "[UNK]\n" + [] {
                QByteArray lines;
                for (int i = 0; i < 1800; ++i) {
                    lines += "##" + QByteArray::number(i) + "\n";
                }
                return lines;
            }());
        for (const QStringList& command : {QStringList{"info", model}, run}) {
            const ErgoResult r = call_ergo(command + QStringList{"--attach", large});
            QVERIFY2(r.code == 1 && is_one_sentence(r.err) && r.err.contains("TK-SIZE"), r.err);
        }
    }

    void special_tokens_in_a_prompt_are_text_unless_asked_for() {
        const auto ids = [](const QStringList& more) {
            const ErgoResult r =
                call_ergo(QStringList{"run", "demo:moa", "-p", "Hi <|user|> there", "-n", "0"} + more);
            return r.code == 0 ? r.err : "failed: " + r.err;
        };
        for (const QStringList& mode : {QStringList{}, QStringList{"--chat"}}) {
            const auto tokens = [&](const QByteArray& said) {
                static const QRegularExpression number("prompt (\\d+) tokens");
                return number.match(QString::fromUtf8(said)).captured(1).toInt();
            };
            const int plain = tokens(ids(mode)), special = tokens(ids(mode + QStringList{"--special"}));
            QVERIFY2(special > 0 && plain > special, ids(mode));
        }
    }

    void a_folders_template_is_used() {
        write("model/tokenizer.json", data("tokenizers/tiny-chat/tokenizer.json"));
        write("model/tokenizer_config.json", R"({"bos_token": "<|bos|>"})");
        write("model/chat_template.jinja", data("templates/llama3.jinja"));
        const QString talk = write("two.json", R"({"messages": [{"role": "user", "content": " 2+2? "}]})");
        const ErgoResult r = call_ergo({"template", folder_.filePath("model"), "-f", talk, "--generate"});
        QVERIFY2(r.code == 0, r.err);
        QCOMPARE(r.out, QByteArray("<|bos|><|start_header_id|>user<|end_header_id|>\n\n2+2?<|eot_id|>"
                                   "<|start_header_id|>assistant<|end_header_id|>\n\n"));
        QVERIFY(r.err.isEmpty());
        write("model/chat_template.jinja", "{% if %}");
        const ErgoResult broken = call_ergo({"template", folder_.filePath("model"), "-f", talk});
        QCOMPARE(broken.code, 0);
        QVERIFY2(is_one_sentence(broken.err) && broken.err.contains("CT-SYNTAX") &&
                     broken.err.contains("ChatML is used"),
                 broken.err);
        QCOMPARE(broken.out, QByteArray("<|im_start|>user\n 2+2? <|im_end|>\n"));
    }

    void mistakes_are_one_sentence() {
        const QString bad = write("bad.json", "[{\"role\": \"user\",\n\"content\": }]");
        const QString roleless = write("roleless.json", R"([{"content": "x"}])");
        for (const QStringList& words :
             {QStringList{"template", "demo:moa", "-f", bad},
              QStringList{"template", "demo:moa", "-f", roleless},
              QStringList{"template", "demo:moa", "-f", folder_.filePath("absent.json")},
              QStringList{"convert", folder_.filePath("absent"), "--out", folder_.filePath("q"), "--dtype",
                          "f32"},
              QStringList{"logits", "demo:moa", "--tokens", "1", "--out", folder_.filePath("l.npy"),
                          "--schemas", "/nowhere"},
              QStringList{"schema", "suggest", folder_.filePath("absent")}}) {
            const ErgoResult r = call_ergo(words);
            QVERIFY2(r.code == 1, qPrintable(words.join(' ') + ": " + r.err));
            QVERIFY2(is_one_sentence(r.err), r.err);
        }
        for (const QStringList& words :
             {QStringList{"template", "demo:moa"}, QStringList{"convert", "demo:moa", "--out", "x"},
              QStringList{"convert", "demo:moa", "--out", folder_.filePath("q"), "--dtype", "f8"},
              QStringList{"convert", "demo:moa", "--out", folder_.path(), "--dtype", "f32"},
              QStringList{"schema", "invent", "demo:moa"}, QStringList{"schema", "suggest"}}) {
            const ErgoResult r = call_ergo(words);
            QVERIFY2(r.code == 2, qPrintable(words.join(' ') + ": " + r.err));
            QVERIFY2(is_one_sentence(r.err), r.err);
        }
    }

    void convert_makes_a_folder_that_opens() {
        const QString out = folder_.filePath("half");
        const ErgoResult r = call_ergo({"convert", "demo:moa", "--out", out, "--dtype", "f16"});
        QVERIFY2(r.code == 0, r.err);
        const QJsonObject info = call_ergo({"info", out, "--json"}).json();
        QCOMPARE(info["parameters"], call_ergo({"info", "demo:moa", "--json"}).json()["parameters"]);
        QVERIFY(info["dtype"].toString().contains("f16"));
        QCOMPARE(call_ergo({"tokenize", out, "x = 2"}).out, call_ergo({"tokenize", "demo:moa", "x = 2"}).out);
        const ErgoResult again = call_ergo({"convert", out, "--out", out, "--dtype", "f32"});
        QCOMPARE(again.code, 2);
    }

    void a_quantised_folder_says_what_it_costs() {
        const QString out = folder_.filePath("q4"), text = write("text.txt", "Solve 3x + 2 = 17.");
        const ErgoResult r = call_ergo({"convert", "demo:moa", "--out", out, "--dtype", "q4"});
        QVERIFY2(r.code == 0 && r.out.contains("mean KL divergence"), r.err + r.out);
        const QJsonObject info = call_ergo({"info", out, "--json"}).json();
        QVERIFY(info["dtype"].toString().contains("q4"));
        const double kept = info["metadata"].toObject()["ergosphere.weights.mean_kl"].toString().toDouble();
        QVERIFY(kept > 0 && kept < 3e-2);
        const QJsonObject eval =
            call_ergo({"eval", out, "-f", text, "--against", "demo:moa", "--json"}).json();
        const double measured = eval["against"].toObject()["mean_kl"].toDouble();
        QVERIFY(measured > 0 && measured < 10); // no conversation: not what the model is for
        QVERIFY(call_ergo({"eval", out, "-f", text, "--against", out}).out.contains("0.000e+00"));
    }

    void a_draft_goes_to_stdout_as_json() {
        const ErgoResult r = call_ergo({"schema", "suggest", "demo:moa"});
        QVERIFY2(r.code == 0, r.err);
        QCOMPARE(r.json()["format"].toString(), QString("ergosphere-schema"));
        QVERIFY(r.json()["tensors"].toArray().size() > 5);
    }
};

QTEST_GUILESS_MAIN(TextCommands)
#include "test_text_commands.moc"
