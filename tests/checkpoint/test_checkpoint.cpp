// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/embedded.h"
#include "engine/checkpoint/checkpoint.h"
#include "tests/checkpoint/support_files.h"

#include <QElapsedTimer>
#include <QTemporaryDir>
#include <QTest>

#include <ctime>

using namespace ergo;
namespace fs = std::filesystem;

namespace {

using Tensors = std::vector<std::pair<std::string, Tensor>>;

Tensor ones(std::int64_t n) {
    return Tensor::from_floats({n}, std::vector<float>(static_cast<std::size_t>(n), 1.0f));
}

/// A model in two shards with an index, to be spoiled by the tests.
struct Sharded {
    QTemporaryDir temporary;
    fs::path folder = temporary.path().toStdString();
    fs::path first = folder / "model-00001-of-00002.safetensors",
             second = folder / "model-00002-of-00002.safetensors";
    fs::path index = folder / "model.safetensors.index.json";

    Sharded() {
        write_safetensors(first, {{"a", ones(2)}, {"b", ones(3)}});
        write_safetensors(second, {{"c", ones(4)}});
        write_index(R"("a":"model-00001-of-00002.safetensors","b":"model-00001-of-00002.safetensors",)"
                    R"("c":"model-00002-of-00002.safetensors")");
    }
    void write_index(const std::string& map, const std::string& total = "36") const {
        write_bytes(index, R"({"metadata":{"total_size":)" + total + R"(},"weight_map":{)" + map + "}}");
    }
    QString open_code(const fs::path& path) const {
        return code_of([&] { Checkpoint::open(path); });
    }
};

} // namespace

class TestCheckpoint : public QObject {
    Q_OBJECT

  private slots:
    void opens_a_folder_and_its_side_files() {
        QTemporaryDir temporary;
        const fs::path folder = fs::path(temporary.path().toStdString()) / "TinyModel";
        fs::create_directory(folder);
        write_safetensors(folder / "model.safetensors", {{"w", ones(3)}, {"a", ones(2)}}, {{"format", "pt"}});
        write_bytes(folder / "config.json", "{\"dim\":1}");
        write_bytes(folder / "tokenizer.json", "tok");
        write_bytes(folder / "other.gguf", "ignored");
        for (const fs::path& path : {folder, folder / "model.safetensors"}) {
            const auto model = Checkpoint::open(path);
            QCOMPARE(model->order(), (std::vector<std::string>{"w", "a"}));
            QCOMPARE(model->parameter_count(), 5);
            QCOMPARE(model->weight_bytes(), 20u);
            QCOMPARE(model->display_name(), std::string("TinyModel"));
            QCOMPARE(model->config_json(), std::string("{\"dim\":1}"));
            QCOMPARE(model->semantics_json(), std::string());
            QCOMPARE(model->side_file("tokenizer.json").value_or(""), std::string("tok"));
            QVERIFY(!model->side_file("merges.txt"));
            QVERIFY(model->has("w") && !model->has("x"));
            QCOMPARE(code_of([&] { model->tensor("x"); }), "M-MISSING");
            QVERIFY(text_of([&] { model->side_file("../secret"); }).contains("bare"));
            model->check_unchanged();
        }
        std::shared_ptr<const Checkpoint> model = Checkpoint::open(folder);
        const Tensor kept = model->tensor("w");
        model.reset(); // the tensor keeps the mapping alive
        QCOMPARE(kept.to_floats(), (std::vector<float>{1, 1, 1}));
    }

    void opens_shards() {
        Sharded s;
        for (const fs::path& path : {s.folder, s.index, s.first, s.second}) {
            const auto model = Checkpoint::open(path);
            QCOMPARE(model->tensors().size(), 3u);
            QVERIFY(model->complete() && model->warnings().empty());
        }
        fs::remove(s.index); // complete sets need no index
        QCOMPARE(Checkpoint::open(s.folder)->tensors().size(), 3u);
        fs::remove(s.second);
        QCOMPARE(s.open_code(s.folder), "SI-SHARD-MISSING");
        const auto part = Checkpoint::open(s.first);
        QVERIFY(!part->complete() &&
                part->warnings().at(0).find("model-00002-of-00002") != std::string::npos);
        QCOMPARE(part->tensors().size(), 2u);
    }

    void checks_the_index() {
        Sharded s;
        const std::string c = R"("c":"model-00002-of-00002.safetensors")";
        s.write_index(R"("a":"model-00001-of-00002.safetensors",)" + c, "1");
        QCOMPARE(Checkpoint::open(s.index)->warnings().size(), 2u); // b is not listed, the total differs
        s.write_index(c + R"(,"a":"model-00002-of-00002.safetensors")");
        QCOMPARE(s.open_code(s.index), "SI-TENSOR");
        s.write_index(c + R"(,"d":"model-00002-of-00002.safetensors")");
        QCOMPARE(s.open_code(s.index), "SI-TENSOR");
        s.write_index(c + R"(,"a":"model-00009-of-00002.safetensors")");
        QCOMPARE(s.open_code(s.index), "SI-SHARD-MISSING");
        for (const char* path : {"../x.safetensors", "/etc/passwd", "a\\\\b", "C:x", "..", "", "a\\u0000b"}) {
            s.write_index(R"("a":)" + quoted(path));
            QCOMPARE(s.open_code(s.index), "SI-PATH");
        }
        s.write_index("");
        QCOMPARE(s.open_code(s.index), "SI-MAP");
        s.write_index(R"("a":1)");
        QCOMPARE(s.open_code(s.index), "SI-MAP");
        s.write_index(R"("a":["x"])");
        QCOMPARE(s.open_code(s.index), "SI-MAP");
        s.write_index(c + "," + c);
        QCOMPARE(s.open_code(s.index), "F-JSON");
        write_bytes(s.index, "{\n \"weight_map\": }");
        QVERIFY(text_of([&] { Checkpoint::open(s.index); }).contains("line 2, column"));
        s.write_index(R"("a":"model-00001-of-00002.safetensors",)" + c);
        write_safetensors(s.second, {{"c", ones(4)}, {"a", ones(2)}});
        QCOMPARE(s.open_code(s.index), "SI-DUPLICATE");
        write_bytes(s.second, "GGUF............");
        QCOMPARE(s.open_code(s.index), "GG-VERSION"); // a shard is what its content says
    }

    void links_lead_nowhere_else() {
        QTemporaryDir temporary, elsewhere;
        const fs::path root = temporary.path().toStdString(), away = elsewhere.path().toStdString();
        write_safetensors(root / "model.safetensors", {{"a", ones(1)}});
        write_bytes(away / "config.json", "{}");
        fs::create_symlink(away / "config.json", root / "config.json");
        const auto text = text_of([&] { Checkpoint::open(root); });
        QVERIFY2(text.contains("F-IO: config.json: ") && text.contains("link out of the folder"),
                 qPrintable(text));
        QCOMPARE(code_of([&] { Checkpoint::open(root / "model.safetensors"); }), "F-IO");
        fs::remove(root / "config.json");
        write_bytes(root / "other.json", "{\"x\": 1, \"x\": 2}");
        fs::create_symlink("other.json", root / "config.json"); // stays inside
        const auto inside = Checkpoint::open(root);
        QVERIFY(inside->config_json().starts_with("{\"x\""));
        QCOMPARE(inside->warnings().size(), 1u);
        QVERIFY(inside->warnings()[0].find("more than once (x)") != std::string::npos);
        QVERIFY(inside->has_side_file("config.json") && !inside->has_side_file("tokenizer.json"));

        // A repository's store: file and side file are links to the same place.
        fs::remove(root / "config.json");
        fs::rename(root / "model.safetensors", away / "weights");
        fs::create_symlink(away / "weights", root / "model.safetensors");
        fs::create_symlink(away / "config.json", root / "config.json");
        QCOMPARE(Checkpoint::open(root / "model.safetensors")->config_json(), std::string("{}"));
        QCOMPARE(code_of([&] { Checkpoint::open(root); }), "F-IO");

        // The files that an index names lie beside it, not where links lead.
        write_bytes(root / "model.safetensors.index.json", R"({"weight_map": {"a": "model.safetensors"}})");
        QCOMPARE(code_of([&] { Checkpoint::open(root / "model.safetensors.index.json"); }), "F-IO");
    }

    void folders_beside_the_weights_are_links_of_the_same_kind() {
        QTemporaryDir temporary, elsewhere;
        const fs::path root = temporary.path().toStdString(), away = elsewhere.path().toStdString();
        const fs::path folder = root / "templates";
        write_safetensors(root / "model.safetensors", {{"a", ones(1)}});
        write_bytes(away / "b.jinja", "b");
        const auto model = Checkpoint::open(root);
        QVERIFY(model->side_folder("templates", ".jinja").empty()); // there is none
        QVERIFY_EXCEPTION_THROWN(model->side_folder("../templates", ".jinja"), Error);

        fs::create_directory(folder);
        write_bytes(folder / "c.jinja", "c");
        write_bytes(folder / "a.jinja", "a");
        write_bytes(folder / "notes.txt", "other");
        fs::create_directory(folder / "d.jinja");                   // no file
        fs::create_symlink(away / "b.jinja", folder / "other.txt"); // nobody reads it
        QCOMPARE(model->side_folder("templates", ".jinja"),
                 (std::vector<fs::path>{folder / "a.jinja", folder / "c.jinja"}));

        fs::create_symlink(away / "b.jinja", folder / "b.jinja");
        const QString file = text_of([&] { model->side_folder("templates", ".jinja"); });
        QVERIFY2(file.contains("F-IO: b.jinja: ") && file.contains("link out of the folder"),
                 qPrintable(file));

        fs::rename(folder, root / "kept");
        fs::remove(root / "kept" / "b.jinja");
        fs::create_symlink("kept", folder); // stays inside
        QCOMPARE(model->side_folder("templates", ".jinja").size(), std::size_t(2));
        fs::remove(folder);
        fs::create_symlink(away, folder);
        const QString whole = text_of([&] { model->side_folder("templates", ".jinja"); });
        QVERIFY2(whole.contains("F-IO: templates: ") && whole.contains("link out of the folder"),
                 qPrintable(whole));
    }

    void settings_are_no_larger_than_settings_are() {
        QTemporaryDir temporary;
        const fs::path root = temporary.path().toStdString();
        write_safetensors(root / "model.safetensors", {{"a", ones(1)}});
        const auto of_size = [](std::uint64_t bytes) {
            const std::string before = "{\"x\": \"", after = "\"}";
            return before + std::string(bytes - before.size() - after.size(), 'x') + after;
        };
        for (const char* name : {"config.json", "semantics.json"}) {
            write_bytes(root / name, of_size(most_settings_bytes));
            QCOMPARE(code_of([&] { Checkpoint::open(root); }), "none");
            write_bytes(root / name, of_size(most_settings_bytes + 1));
            const QString text = text_of([&] { Checkpoint::open(root); });
            QVERIFY2(text.contains("F-TOO-LARGE: " + QString(name)) && text.contains("16777217 bytes") &&
                         text.contains("at most 16777216"),
                     qPrintable(text));
            fs::remove(root / name);
        }
        const auto model = Checkpoint::open(root);
        write_bytes(root / "generation_config.json", of_size(most_settings_bytes + 1));
        QCOMPARE(code_of([&] { model->side_file("generation_config.json"); }), "F-TOO-LARGE");
        write_bytes(root / "vocab.json", of_size(most_settings_bytes + 1)); // no settings
        QCOMPARE(model->side_file("vocab.json")->size(), std::size_t{most_settings_bytes + 1});
    }

    void searches_folders_carefully() {
        QTemporaryDir temporary, elsewhere;
        const fs::path root = temporary.path().toStdString();
        const auto code = [&] { return code_of([&] { Checkpoint::open(root); }); };
        QCOMPARE(code(), "F-UNKNOWN");
        write_bytes(root / "model.onnx", "onnx");
        QCOMPARE(code(), "F-UNSUPPORTED");
        fs::create_directories(root / "snapshots" / "abc" / "deep");
        write_safetensors(root / "snapshots/abc/deep/model.safetensors", {{"a", ones(1)}});
        QCOMPARE(code(), "F-UNSUPPORTED"); // three levels down is too far
        fs::remove_all(root / "snapshots/abc/deep");
        // a repository snapshot: a link that stays inside the folder
        fs::create_directory(root / "blobs");
        write_safetensors(root / "blobs" / "0123", {{"a", ones(1)}});
        fs::create_symlink("../../blobs/0123", root / "snapshots/abc/model.safetensors");
        QCOMPARE(Checkpoint::open(root)->order(), std::vector<std::string>{"a"});
        QCOMPARE(code_of([&] { Checkpoint::open(root / "snapshots"); }),
                 "F-IO");                                      // from here the link leads out
        write_bytes(root / "pytorch_model.bin", "PK\x03\x04"); // weights here come before those below
        QCOMPARE(code(), "PT-ZIP");
        write_safetensors(root / "x.safetensors", {{"a", ones(1)}});
        write_safetensors(root / "y.safetensors", {{"a", ones(1)}});
        QCOMPARE(code(), "F-AMBIGUOUS");
        QCOMPARE(Checkpoint::open(root / "x.safetensors")->display_name(), std::string("x"));
        QCOMPARE(code_of([&] { Checkpoint::open(root / "absent"); }), "F-IO");
    }

    void content_decides_not_the_extension() {
        QTemporaryDir temporary;
        const fs::path root = temporary.path().toStdString();
        write_safetensors(root / "weights.bin", {{"a", ones(1)}});
        QCOMPARE(Checkpoint::open(root / "weights.bin")->parameter_count(), 1);
        write_bytes(root / "m.safetensors", "GGUF............");
        QCOMPARE(code_of([&] { Checkpoint::open(root / "m.safetensors"); }), "GG-VERSION");
        write_bytes(root / "noise", "\x01noise that is nothing at all");
        const auto open = [&] { Checkpoint::open(root / "noise"); };
        QCOMPARE(code_of(open), "F-UNKNOWN");
        QVERIFY(text_of(open).contains("01 6E 6F 69 73 65"));
    }

    void opens_large_models_at_once() {
        QTemporaryDir temporary;
        const fs::path path = fs::path(temporary.path().toStdString()) / "model.safetensors";
        std::string header = "{";
        for (int i = 0; i < 5000; ++i) { // 40 GB of weights, sparse
            const auto at = [](std::int64_t n) { return std::to_string(n * 8'000'000); };
            header += (i ? "," : "") + quoted("layers." + std::to_string(i) + ".w") +
                      R"(:{"dtype":"BF16","shape":[2000,2000],)" + R"("data_offsets":[)" + at(i) + "," +
                      at(i + 1) + "]}";
        }
        write_bytes(path, safetensors_bytes(header + "}", ""));
        fs::resize_file(path, fs::file_size(path) + 5000ull * 8'000'000);
        QElapsedTimer timer;
        timer.start();
        const std::clock_t before = std::clock();
        const auto model = Checkpoint::open(path);
        const double cpu_seconds = static_cast<double>(std::clock() - before) / CLOCKS_PER_SEC;
        QCOMPARE(model->parameter_count(), 20'000'000'000);
        qInfo("opened in %lld ms", static_cast<long long>(timer.elapsed()));
        // Processor time, because a busy machine stretches the other; touching 40 GB would take longer than
        // this even when every page is a hole, while the header takes some 20 ms (seconds under a sanitizer).
        QVERIFY2(cpu_seconds < 4, "opening must not depend on the size of the weights");
    }

    void opens_embedded_models() {
        QVERIFY(text_of([] { Checkpoint::open_embedded("demo/absent/"); }).contains("demo/absent/"));
        for (const EmbeddedFile& file : embedded_below("demo/")) {
            if (file.path.ends_with("model.safetensors")) {
                const std::string prefix(file.path.substr(0, file.path.rfind('/') + 1));
                const auto model = Checkpoint::open_embedded(prefix);
                QVERIFY(model->parameter_count() > 0 && !model->config_json().empty());
                QVERIFY(model->folder().empty());
                QVERIFY(model->tensors().begin()->second.is_f32_view() ||
                        model->tensors().begin()->second.dtype() != DType::f32);
            }
        }
    }
};

QTEST_GUILESS_MAIN(TestCheckpoint)
#include "test_checkpoint.moc"
