// SPDX-License-Identifier: GPL-3.0-or-later
// A small file of each kind, cut after every byte and opened as a person opens it: a refusal with a code, or
// what the rest honestly says where a text has no end of its own. Under the sanitizers, like the corpora.
#include "engine/base/error.h"
#include "engine/checkpoint/checkpoint.h"
#include "engine/checkpoint/schema.h"
#include "engine/checkpoint/zstd_writer.h"
#include "engine/generate/generation_defaults.h"
#include "engine/generate/metadata_tokenizer.h"
#include "engine/model/kotodama/config.h"
#include "engine/model/moa/config.h"
#include "engine/model/moa/semantics.h"
#include "engine/model/qwen2/config.h"
#include "engine/model/qwen2/mass_source.h"
#include "engine/template/template.h"
#include "engine/tokenizer/tokenizer.h"

#include <QTemporaryDir>
#include <QTest>

#include <fstream>
#include <functional>

using namespace ergo;

namespace {

namespace fs = std::filesystem;

std::string bytes_of(const std::string& path) {
    std::ifstream in(std::string(ERGO_SOURCE_DIR) + "/tests/" + path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::string seed(const std::string& name) {
    return bytes_of("fuzz/corpus/" + name);
}

void put(const fs::path& path, const std::string& bytes) {
    fs::remove(path); // a file that is written over may wait for the disk
    std::ofstream(path, std::ios::binary) << bytes;
}

/// Which beginnings of a file may be read: none, those that only lack white space at the end (and nothing at
/// all, which stands for no file), or any that happen to make sense.
enum class Prefixes { none, whole_value, any };

} // namespace

class TestTruncation : public QObject {
    Q_OBJECT

    using Open = std::function<void(const std::string& bytes)>;

    /// Cuts `whole` after every byte. `file`: the name an error has to give; "" where it has none.
    void cut(const std::string& whole, const std::string& file, Prefixes allowed, const Open& open) {
        QVERIFY(whole.size() > 8);
        open(whole); // the whole file is good
        std::string trimmed = whole;
        trimmed.erase(trimmed.find_last_not_of(" \t\r\n") + 1);
        for (std::size_t size = allowed == Prefixes::whole_value ? 1 : 0; size < whole.size(); ++size) {
            const QByteArray where = QByteArray::number(qulonglong(size));
            try {
                open(whole.substr(0, size));
                QVERIFY2(allowed == Prefixes::any ||
                             (allowed == Prefixes::whole_value && size >= trimmed.size()),
                         where);
            } catch (const Error& error) {
                QVERIFY2(!error.where().code.empty(), where + ": " + error.what());
                QVERIFY2(std::string(error.what()).find(file) != std::string::npos,
                         where + ": " + error.what());
            }
        }
    }

    /// The same for a weight file of that name that a folder is opened by.
    void cut_weights(const std::string& whole, const std::string& name) {
        QTemporaryDir folder;
        const fs::path path = fs::path(folder.path().toStdString()) / name;
        const std::string shown = name.ends_with(".zst") ? name.substr(0, name.size() - 4) : name;
        cut(whole, shown, Prefixes::none, [&](const std::string& bytes) {
            put(path, bytes);
            Checkpoint::open(path);
        });
    }

  private slots:
    void safetensors() { cut_weights(seed("safetensors/several"), "model.safetensors"); }
    void pytorch() { cut_weights(bytes_of("data/checkpoint/module.bin"), "pytorch_model.bin"); }
    void pytorch_compressed() { cut_weights(bytes_of("data/checkpoint/module.bin.zst"), "model.pt.zst"); }
    void gguf() { cut_weights(seed("gguf/tokenizer.gguf"), "model.gguf"); }

    void safetensors_compressed() {
        QTemporaryDir folder;
        const fs::path path = fs::path(folder.path().toStdString());
        put(path / "model.safetensors", seed("safetensors/several"));
        compress_zstd(*map_file(path / "model.safetensors"), path / "packed", {}, {});
        std::ifstream in(path / "packed", std::ios::binary);
        cut_weights({std::istreambuf_iterator<char>(in), {}}, "model.safetensors.zst");
    }

    void shard_index() {
        QTemporaryDir folder;
        const fs::path path = folder.path().toStdString();
        for (const char* name : {"pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"}) {
            put(path / name, bytes_of(std::string("data/checkpoint/") + name));
        }
        const std::string name = "pytorch_model.bin.index.json";
        cut(bytes_of("data/checkpoint/" + name), name, Prefixes::whole_value, [&](const std::string& bytes) {
            put(path / name, bytes);
            Checkpoint::open(path / name);
        });
    }

    void gravity_masses() {
        QTemporaryDir folder;
        const fs::path path = folder.path().toStdString();
        put(path / "model.safetensors", seed("safetensors/several"));
        for (const char* name : {"state_dict.pt", "one_tensor.pt", "numbers.pt"}) {
            cut(bytes_of(std::string("data/qwen2/masses/") + name), qwen2::mass_file, Prefixes::none,
                [&](const std::string& bytes) {
                    put(path / qwen2::mass_file, bytes);
                    qwen2::find_masses(*Checkpoint::open(path));
                });
        }
    }

    void configurations() {
        cut(seed("config/moa.json"), "config.json", Prefixes::whole_value,
            [](const std::string& text) { moa::Config::parse(text); });
        cut(seed("config/kotodama.json"), "config.json", Prefixes::whole_value,
            [](const std::string& text) { kotodama::parse_config(text); });
        cut(seed("config/qwen2.json"), "config.json", Prefixes::whole_value,
            [](const std::string& text) { qwen2::Config::parse(text); });
        cut(seed("config/generation.json"), "generation_config.json", Prefixes::whole_value,
            [](const std::string& text) { read_generation_config(text); });
        cut(R"({"metric": "l2", "use_balls": true})", "semantics.json", Prefixes::whole_value,
            [](const std::string& text) { moa::parse_knobs(text, "semantics.json"); });
    }

    void tokenizer_json() {
        for (const char* name : {"wordpiece.json", "split.json", "llama-like.json", "unigram_false.json"}) {
            cut(seed(std::string("tokenizer/") + name), "tokenizer.json", Prefixes::whole_value,
                [](const std::string& text) { Tokenizer::from_json(text, "", "tokenizer.json"); });
        }
        const std::string base = seed("tokenizer/split.json");
        cut(seed("tokenizer/config.json"), "tokenizer_config.json", Prefixes::whole_value,
            [&](const std::string& text) { Tokenizer::from_json(base, text, "tokenizer.json"); });
    }

    void vocabularies() {
        const std::string vocab = R"({"a": 0, "b": 1, "c": 2, "ab": 3, "abc": 4})",
                          merges = "#version: 0.2\na b\nab c\n";
        cut(vocab, "vocab.json", Prefixes::none, [&](const std::string& text) {
            Tokenizer::from_vocab_and_merges(text, merges, "", "vocab.json");
        });
        cut(merges, "", Prefixes::any, [&](const std::string& text) {
            Tokenizer::from_vocab_and_merges(vocab, text, "", "merges.txt");
        });
        cut(seed("tokenizer/vocab.txt"), "vocab.txt", Prefixes::any,
            [](const std::string& text) { Tokenizer::from_vocab_txt(text, "", "vocab.txt"); });
    }

    void gguf_tokenizer() { // a whole file whose lists are cut short instead
        QTemporaryDir folder;
        const fs::path path = fs::path(folder.path().toStdString()) / "model.gguf";
        put(path, seed("gguf/tokenizer.gguf"));
        const auto checkpoint = Checkpoint::open(path);
        const auto table = token_table_of(checkpoint->typed_metadata());
        QVERIFY(table.has_value());
        for (std::size_t count = 0; count <= table->tokens.size(); ++count) {
            TokenTable shorter = *table;
            shorter.tokens.resize(count);
            try {
                Tokenizer::from_table(shorter, "model.gguf");
                QCOMPARE(count, table->tokens.size());
            } catch (const Error& error) {
                QVERIFY(!error.where().code.empty());
            }
        }
    }

    void schemas_and_templates() {
        cut(seed("schema/groups.json"), "schema.json", Prefixes::whole_value,
            [](const std::string& text) { Schema::parse(text, "schema.json", {}); });
        cut(seed("template/chatml.jinja"), "", Prefixes::any,
            [](const std::string& text) { jinja::Template::parse(text, "chat_template.jinja"); });
    }
};

QTEST_GUILESS_MAIN(TestTruncation)
#include "test_truncation.moc"
