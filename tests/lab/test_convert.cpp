// SPDX-License-Identifier: GPL-3.0-or-later
// A converted model computes what running the original with that type computes, and a conversion that fails
// leaves nothing.
#include "engine/base/error.h"
#include "engine/generate/opened_model.h"
#include "engine/lab/compare.h"
#include "engine/lab/convert.h"
#include "engine/lab/synth.h"
#include "engine/lab/trace.h"

#include <QTemporaryDir>
#include <QtTest>

#include <sys/resource.h>

#include <csignal>
#include <cstring>
#include <fstream>

using ergo::CancelToken;
using ergo::Error;
using ergo::ErrorKind;

namespace fs = std::filesystem;

namespace {

ergo::NpyArray logits(const std::string& source, const std::string& dtype) {
    ergo::OpenModelOptions options;
    options.backend = "cpu";
    options.threads = 1;
    options.model.dtype = dtype;
    const auto opened = ergo::open_all(source, options, {}, {});
    return ergo::run_logits(*opened->model, *opened->backend, {70, 71, 72, 5, 130, 9}, false, {}, {});
}

bool same(const ergo::NpyArray& a, const ergo::NpyArray& b) {
    return a.data.size() == b.data.size() && !a.data.empty() &&
           std::memcmp(a.data.data(), b.data.data(), a.data.size()) == 0;
}

ErrorKind kind_of(const std::function<void()>& work) {
    try {
        work();
    } catch (const Error& error) {
        return error.kind();
    }
    return ErrorKind::device; // nothing was thrown
}

} // namespace

class TestConvert : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    fs::path path(const char* name) const { return fs::path(folder_.path().toStdString()) / name; }
    std::shared_ptr<const ergo::Checkpoint> demo_ = ergo::open_checkpoint("demo:moa");

    bool nothingLeft() const { return fs::is_empty(path("")); }

  private slots:
    void logitsAreTheSame_data() {
        QTest::addColumn<QString>("dtype");
        for (const char* dtype : {"f32", "bf16", "f16"}) {
            QTest::newRow(dtype) << QString(dtype);
        }
    }

    void logitsAreTheSame() {
        QFETCH(QString, dtype);
        const std::string type = dtype.toStdString();
        const fs::path out = path(("to-" + type).c_str());
        double last = 0;
        convert(*demo_, out, type,
                [&](double done, double total, const std::string&) { last = done / total; });
        QCOMPARE(last, 1.0);
        QVERIFY(same(logits(out.string(), ""), logits("demo:moa", type)));
        // and back again from files, as any other checkpoint
        const auto converted = ergo::open_checkpoint(out.string());
        QCOMPARE(converted->order().size(), demo_->order().size());
        for (const char* file : {"tokenizer.json", "tokenizer_config.json", "generation_config.json"}) {
            QVERIFY(converted->side_file(file) == demo_->side_file(file));
        }
        const std::string wanted = type == "f32" ? "float32" : type == "bf16" ? "bfloat16" : "float16";
        QVERIFY(converted->config_json().find("\"" + wanted + "\"") != std::string::npos);
        const fs::path again = path(("again-" + type).c_str());
        convert(*converted, again, type);
        QVERIFY(same(logits(again.string(), ""), logits(out.string(), "")));
        fs::remove_all(out);
        fs::remove_all(again);
        QVERIFY(nothingLeft());
    }

    void quantised_data() {
        QTest::addColumn<QString>("dtype");
        QTest::addColumn<double>("most");  // mean divergence
        QTest::addColumn<double>("bytes"); // of the original's
        for (const std::string& model : ergo::demo_models()) {
            QTest::addRow("%s q8", model.c_str()) << "q8" << 1e-3 << 0.75;
            QTest::addRow("%s q4", model.c_str()) << "q4" << 3e-2 << 0.55;
        }
    }

    // Bits of the stored model equal those of rounding while loading; both are near the original.
    void quantised() {
        QFETCH(QString, dtype);
        QFETCH(double, most);
        QFETCH(double, bytes);
        const std::string source = QString(QTest::currentDataTag()).section(' ', 0, 0).toStdString();
        const std::string type = dtype.toStdString();
        const auto checkpoint = ergo::open_checkpoint(source);
        const fs::path out = path(type.c_str());
        convert(*checkpoint, out, type, {}, {}, {{"made.by", "a test"}});
        QVERIFY(same(logits(out.string(), ""), logits(source, type)));
        const auto converted = ergo::open_checkpoint(out.string());
        QCOMPARE(converted->order().size(), checkpoint->order().size());
        QCOMPARE(converted->parameter_count(), checkpoint->parameter_count());
        QCOMPARE(converted->metadata().at("ergosphere.weights"), type);
        QCOMPARE(converted->metadata().at("made.by"), std::string("a test"));
        const double share = double(converted->weight_bytes()) / double(checkpoint->weight_bytes());
        QVERIFY2(share < bytes, QByteArray::number(share));

        ergo::OpenModelOptions options;
        options.backend = "cpu";
        const auto original = ergo::open_all(source, options, {}, {});
        const auto rounded = ergo::open_all(out.string(), options, {}, {});
        const auto tokens = ergo::comparison_texts(*original);
        QVERIFY(tokens.size() > 10);
        const ergo::Comparison c = compare(*original, *rounded, tokens, {}, {});
        qInfo("%s %s: mean KL %.2e, largest %.2e, logits differ by up to %.3f, same first token %.1f %%",
              source.c_str(), type.c_str(), c.mean_divergence, c.largest_divergence,
              c.largest_logit_difference, 100 * c.same_first);
        QVERIFY2(c.mean_divergence > 0 && c.mean_divergence < most, QByteArray::number(c.mean_divergence));
        QCOMPARE(compare(*original, *original, tokens, {}, {}).largest_logit_difference, 0.0);

        const fs::path again = path("again"); // nothing is lost by writing it once more
        convert(*converted, again, type);
        QVERIFY(same(logits(again.string(), ""), logits(out.string(), "")));
        convert(*converted, path("wide"), "f32");
        QVERIFY(!same(logits(path("wide").string(), ""), logits(out.string(), ""))); // inputs are not rounded
        for (const std::string& each : {std::string("again"), std::string("wide"), type}) {
            fs::remove_all(path(each.c_str()));
        }
        QVERIFY(nothingLeft());
    }

    void wrongRequests() {
        const fs::path out = path("x");
        QVERIFY(kind_of([&] { convert(*demo_, out, "f8"); }) == ErrorKind::usage);
        fs::create_directories(out / "full");
        QVERIFY(kind_of([&] { convert(*demo_, out, "f32"); }) == ErrorKind::usage);
        fs::remove_all(out);
        fs::create_directories(out); // an empty one will do
        convert(*demo_, out, "f32");
        const auto source = ergo::open_checkpoint(out.string());
        QVERIFY(kind_of([&] { convert(*source, out, "bf16"); }) == ErrorKind::usage);
        QVERIFY(kind_of([&] { convert(*source, out / "inside", "bf16"); }) == ErrorKind::usage);
        QVERIFY(kind_of([&] { convert(*source, out / ".." / "x" / "in", "bf16"); }) == ErrorKind::usage);
        QVERIFY(!fs::exists(out / "inside"));
        fs::remove_all(out);
        QVERIFY(nothingLeft());
    }

    void namedTemplatesComeAlongFromTheFolderAlone() {
        const fs::path source = path("source"), out = path("out"), stray = path("stray.jinja");
        const fs::path templates = source / "additional_chat_templates";
        convert(*demo_, source, "f32");
        fs::create_directory(templates);
        std::ofstream(templates / "short.jinja") << "{{ messages[0].content }}";
        convert(*ergo::open_checkpoint(source.string()), out, "bf16");
        QCOMPARE(fs::file_size(out / "additional_chat_templates" / "short.jinja"), std::uintmax_t(25));
        fs::remove_all(out);
        std::ofstream(stray) << "what is not the model's";
        fs::create_symlink(stray, templates / "stray.jinja");
        QVERIFY(kind_of([&] { convert(*ergo::open_checkpoint(source.string()), out, "bf16"); }) ==
                ErrorKind::io);
        QVERIFY(!fs::exists(out));
        fs::remove_all(source);
        fs::remove(stray);
        QVERIFY(nothingLeft());
    }

    void cancelledLeavesNothing() {
        CancelToken cancel;
        int calls = 0;
        const auto kind = kind_of([&] {
            convert(
                *demo_, path("y"), "f32",
                [&](double, double, const std::string&) { calls == 5 ? cancel.cancel() : void(++calls); },
                cancel);
        });
        QVERIFY(kind == ErrorKind::cancelled);
        QVERIFY(nothingLeft());
    }

    void aFullDiskLeavesNothing() {
        std::signal(SIGXFSZ, SIG_IGN);
        rlimit before{};
        getrlimit(RLIMIT_FSIZE, &before);
        const rlimit small{100'000, before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
        const auto kind = kind_of([&] { convert(*demo_, path("z"), "f32"); });
        setrlimit(RLIMIT_FSIZE, &before);
        QVERIFY(kind == ErrorKind::io);
        QVERIFY(nothingLeft());
        QVERIFY(kind_of([&] { convert(*demo_, "/proc/nowhere/z", "f32"); }) == ErrorKind::io);
    }

    void blocksBecomeNumbers() { // a quantised GGUF: its values as they run, without block types
        ergo::SynthRequest request;
        request.config = R"({"model_type": "qwen2", "hidden_size": 64, "num_hidden_layers": 1,
            "num_attention_heads": 2, "num_key_value_heads": 1, "intermediate_size": 96, "vocab_size": 160,
            "max_position_embeddings": 32, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
            "tie_word_embeddings": false})";
        ergo::synth(request, {"gguf", 1, "q4_0"}, path("blocks"));
        const auto source = ergo::open_checkpoint(path("blocks").string());
        convert(*source, path("numbers"), "f32");
        const auto made = ergo::open_checkpoint(path("numbers").string());
        QCOMPARE(made->tensors().size(), source->tensors().size());
        for (const auto& [name, tensor] : source->tensors()) {
            QVERIFY(made->tensor(name).dtype() == ergo::DType::f32);
            QVERIFY(made->tensor(name).to_floats() == tensor.to_floats());
        }
        QVERIFY(same(logits(path("numbers").string(), "f32"), logits(path("blocks").string(), "f32")));
        fs::remove_all(path("blocks"));
        fs::remove_all(path("numbers"));
    }
};

QTEST_GUILESS_MAIN(TestConvert)
#include "test_convert.moc"
