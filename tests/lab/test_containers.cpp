// SPDX-License-Identifier: GPL-3.0-or-later
// The same random model in every container that models are published in: what is read back is what was made.
#include "engine/base/error.h"
#include "engine/lab/synth.h"
#include "engine/model/model.h"

#include <QTemporaryDir>
#include <QtTest>

#include <cmath>
#include <set>

using namespace ergo;

namespace {

namespace fs = std::filesystem;

SynthRequest kotodama() {
    SynthRequest request;
    request.config =
        R"({"model_type": "kotodama", "hidden_size": 32, "num_layers": 3, "num_attention_heads": 2,
        "num_kv_heads": 1, "head_dim": 16, "intermediate_size": 48, "vocab_size": 96,
        "max_position_embeddings": 64, "attn_res_boundaries": [0, 2]})";
    return request;
}

SynthRequest qwen2(int width = 64) {
    SynthRequest request;
    request.config = R"({"model_type": "qwen2", "hidden_size": )" + std::to_string(width) +
                     R"(, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 96, "vocab_size": 160,
        "max_position_embeddings": 64, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "tie_word_embeddings": false})";
    return request;
}

std::set<std::string> files_in(const fs::path& folder) {
    std::set<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder)) {
        names.insert(entry.path().filename().string());
    }
    return names;
}

double largest_difference(const Tensor& a, const Tensor& b) {
    const auto x = a.to_floats(), y = b.to_floats();
    double largest = x.size() == y.size() ? 0 : INFINITY;
    for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
        largest = std::max(largest, std::abs(double(x[i]) - double(y[i])));
    }
    return largest;
}

QString message_of(const std::function<void()>& action) {
    try {
        action();
    } catch (const Error& error) {
        return QString::fromStdString(error.message());
    }
    return {};
}

} // namespace

class TestContainers : public QObject {
    Q_OBJECT

  private slots:
    void read_back_data() {
        QTest::addColumn<QString>("family");
        QTest::addColumn<QString>("container");
        QTest::addColumn<int>("shards");
        QTest::addColumn<QString>("dtype");
        QTest::addColumn<QString>("files");
        QTest::addColumn<double>("tolerance");
        const auto row = [](const char* family, const char* container, int shards, const char* dtype,
                            const char* files, double tolerance = 0) {
            QTest::addRow("%s %s %s %d", family, container, dtype, shards)
                << family << container << shards << dtype << files << tolerance;
        };
        row("kotodama", "pt", 1, "f32", "model.pt"); // bare, as it is published
        row("kotodama", "pt.zst", 1, "bf16", "model.pt.zst");
        row("kotodama", "safetensors", 4, "f32",
            "config.json model-00001-of-00004.safetensors model-00002-of-00004.safetensors "
            "model-00003-of-00004.safetensors model-00004-of-00004.safetensors model.safetensors.index.json");
        row("qwen2", "bin", 1, "f16", "config.json pytorch_model.bin");
        row("qwen2", "safetensors", 27, "bf16", "");
        row("qwen2", "gguf", 1, "f32", "model.gguf");
        row("qwen2", "gguf", 1, "f16", "model.gguf", 1e-3);
        row("qwen2", "gguf", 1, "q8_0", "model.gguf", 0.02);
        row("qwen2", "gguf", 1, "q4_0", "model.gguf", 0.2);
        row("qwen2", "gguf", 1, "q6_k", "model.gguf", 0.05);
        row("qwen2", "gguf", 1, "q4_k_m", "model.gguf", 0.2);
    }

    void read_back() {
        QFETCH(QString, family);
        QFETCH(QString, container);
        QFETCH(int, shards);
        QFETCH(QString, dtype);
        QFETCH(QString, files);
        QFETCH(double, tolerance);
        QTemporaryDir scratch;
        const fs::path folder = fs::path(scratch.path().toStdString()) / "model";
        SynthRequest request = family == "qwen2" ? qwen2(dtype.contains("_k") ? 256 : 64) : kotodama();
        request.dtype = dtype == "bf16"                         ? DType::bf16
                        : dtype == "f16" && container != "gguf" ? DType::f16
                                                                : DType::f32;
        ContainerRequest stored{container.toStdString(), shards,
                                container == "gguf" ? dtype.toStdString() : ""};
        synth(request, stored, folder);
        if (!files.isEmpty()) {
            std::set<std::string> expected;
            for (const QString& name : files.split(' ')) {
                expected.insert(name.toStdString());
            }
            QCOMPARE(files_in(folder), expected);
        }
        const fs::path plain = fs::path(scratch.path().toStdString()) / "plain";
        synth(request, plain);
        const auto made = Checkpoint::open(folder), expected = Checkpoint::open(plain);
        QVERIFY(made->complete());
        QCOMPARE(made->tensors().size(), expected->tensors().size());
        QCOMPARE(made->parameter_count(), expected->parameter_count());
        for (const auto& [name, tensor] : expected->tensors()) {
            QVERIFY2(made->has(name), name.c_str());
            QCOMPARE(made->tensor(name).shape(), tensor.shape());
            QVERIFY2(largest_difference(made->tensor(name), tensor) <= tolerance, name.c_str());
        }
        if (dtype == "q4_k_m") { // of two layers both have more bits; 96 numbers are no block of 256
            for (const auto& [name, type] : {std::pair("lm_head.weight", DType::q6_k),
                                             {"model.embed_tokens.weight", DType::q4_k},
                                             {"model.layers.0.self_attn.q_proj.weight", DType::q4_k},
                                             {"model.layers.1.self_attn.v_proj.weight", DType::q6_k},
                                             {"model.layers.1.mlp.down_proj.weight", DType::q8_0},
                                             {"model.layers.1.input_layernorm.weight", DType::f32}}) {
                QCOMPARE(dtype_name(made->tensor(name).dtype()), dtype_name(type));
            }
        }
        if (family == "qwen2" ||
            container == "safetensors") { // bare Kotodama of 3 layers lacks its boundaries
            QCOMPARE(open_model(made, {})->info().parameters, made->parameter_count());
        }
    }

    void refusals() {
        QTemporaryDir scratch;
        const fs::path folder = fs::path(scratch.path().toStdString()) / "model";
        const auto refused = [&](const SynthRequest& request, const ContainerRequest& stored) {
            const QString message = message_of([&] { synth(request, stored, folder); });
            std::error_code ignored;
            return fs::exists(folder / "being-made", ignored) ? QString("left something") : message;
        };
        QVERIFY(refused(qwen2(), {"tar", 1, ""}).contains("'tar'"));
        QVERIFY(refused(qwen2(), {"gguf", 2, ""}).contains("several files"));
        QVERIFY(refused(qwen2(), {"gguf", 1, "q2_k"}).contains("q2_k"));
        QVERIFY(refused(qwen2(), {"safetensors", 28, ""}).contains("28 files"));
        QVERIFY(refused(kotodama(), {"gguf", 1, ""}).contains("no such tensor"));
        QVERIFY(!fs::exists(folder));
        synth(qwen2(), {"gguf", 1, ""}, folder);
        QVERIFY(refused(qwen2(), {"gguf", 1, ""}).contains("holds something"));
        QCOMPARE(files_in(folder), std::set<std::string>{"model.gguf"});
    }

    void names_have_no_case() {
        SynthRequest request;
        request.like = "KOTODAMA-108m";
        QCOMPARE(synth_dtype(request), DType::f32);
        request.like = "gravity-2";
        QCOMPARE(synth_dtype(request), DType::bf16);
        request.like = "discovery"; // known, so that the schema is what is wrong
        request.preset = "moa-1999";
        QVERIFY(message_of([&] { synthesise(request); }).contains("moa-1999"));
    }
};

QTEST_GUILESS_MAIN(TestContainers)
#include "test_containers.moc"
