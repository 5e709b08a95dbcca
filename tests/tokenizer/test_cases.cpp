// SPDX-License-Identifier: GPL-3.0-or-later
// Ids and texts against those of the reference (tests/data/tokenizers).
#include "engine/base/error.h"
#include "engine/tokenizer/tokenizer.h"

#include <QtTest>

#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <map>

using ergo::Tokenizer;
using Json = nlohmann::json;

namespace {

const std::string folder = std::string(ERGO_TEST_DATA) + "/tokenizers/";

std::string read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<Json> read_lines(const std::string& path) {
    std::ifstream in(path);
    std::vector<Json> lines;
    for (std::string line; std::getline(in, line);) {
        lines.push_back(Json::parse(line));
    }
    return lines;
}

QByteArray explain(const Json& expected, const Json& got, const std::string& what) {
    return QByteArray::fromStdString(what + "\n  expected " + expected.dump() + "\n  got      " + got.dump());
}

// One case, decoding ones also through a StreamDecoder.
void check(const std::shared_ptr<const Tokenizer>& tokenizer, const Json& item, const std::string& name) {
    if (!item.contains("decode")) {
        const auto text = item.at("text").get<std::string>();
        const Json ids =
            tokenizer->encode(text, {.add_special_tokens = item.value("add_special_tokens", false),
                                     .match_special_in_text = item.value("match_special", true)});
        QVERIFY2(ids == item.at("ids"), explain(item.at("ids"), ids, name + ": " + Json(text).dump()));
        return;
    }
    const auto ids = item.at("decode").get<std::vector<std::int32_t>>();
    const bool skip = item.at("skip_special_tokens");
    const Json text = tokenizer->decode(ids, skip);
    QVERIFY2(text == item.at("text"), explain(item.at("text"), text, name + ": " + Json(ids).dump()));
    ergo::StreamDecoder stream(tokenizer, skip);
    std::string streamed;
    for (const std::int32_t id : ids) {
        streamed += stream.push(id);
    }
    QCOMPARE(QString::fromStdString(streamed + stream.finish()),
             QString::fromStdString(text.get<std::string>()));
}

} // namespace

class TestCases : public QObject {
    Q_OBJECT

    const std::vector<Json> pipelines_ = read_lines(folder + "pipelines/cases.jsonl");
    std::shared_ptr<const Tokenizer> gpt2_ = Tokenizer::from_folder(folder + "gpt2");

  private slots:
    void publishedTokenizers() {
        std::map<std::string, std::shared_ptr<const Tokenizer>> tokenizers;
        std::map<std::string, int> checked;
        for (const Json& item : read_lines(folder + "cases.jsonl")) {
            const std::string name = item.at("tokenizer");
            if (!std::filesystem::exists(folder + name)) {
                continue;
            }
            auto& tokenizer = tokenizers[name];
            if (!tokenizer) {
                tokenizer = Tokenizer::from_folder(folder + name);
            }
            check(tokenizer, item, name);
            if (QTest::currentTestFailed()) {
                return;
            }
            ++checked[name];
        }
        QCOMPARE(checked["gpt2"], 48);
        QCOMPARE(checked["tiny-chat"], 13);
    }

    void pipelines_data() {
        QTest::addColumn<int>("line");
        int number = 0;
        for (const Json& line : pipelines_) {
            QTest::addRow("%s", line.at("name").get<std::string>().c_str()) << number++;
        }
        QVERIFY(number > 40);
    }

    void pipelines() {
        QFETCH(int, line);
        const Json& pipeline = pipelines_[static_cast<std::size_t>(line)];
        Json file = Json::parse(read(folder + "tiny-chat/tokenizer.json"));
        file.merge_patch(pipeline.at("patch"));
        const auto tokenizer = Tokenizer::from_json(file.dump(), "", "tokenizer.json");
        for (const Json& item : pipeline.at("cases")) {
            check(tokenizer, item, pipeline.at("name"));
            if (QTest::currentTestFailed()) {
                return;
            }
        }
    }

    void vocabAndMergesAreTheSame() {
        const std::string config = read(folder + "gpt2/tokenizer_config.json");
        const auto whole =
            Tokenizer::from_json(read(folder + "gpt2/tokenizer.json"), config, "tokenizer.json");
        const std::string vocab = read(folder + "gpt2/vocab.json"), merges = read(folder + "gpt2/merges.txt");
        for (const std::string& with : {config, std::string()}) {
            const auto parts = Tokenizer::from_vocab_and_merges(vocab, merges, with, "vocab.json");
            QCOMPARE(parts->vocab_size(), 50257);
            QCOMPARE(parts->kind(), whole->kind());
            for (std::int32_t id = 0; id < 50257; ++id) {
                QVERIFY(parts->token_text(id) == whole->token_text(id));
                QVERIFY(parts->token_bytes(id) == whole->token_bytes(id));
                QCOMPARE(parts->is_special(id), whole->is_special(id));
            }
            const std::string text = read(folder + "gpt2/SOURCE.txt") + "<|endoftext|>\n\n  日本語 don't";
            QVERIFY(parts->encode(text) == whole->encode(text));
            QVERIFY(parts->eos() == whole->eos());
        }
        const auto windows = [](const std::string& text) { // line ends as some checkouts have them
            std::string out;
            for (const char c : text) {
                out += c == '\n' ? "\r" : "";
                out += c;
            }
            return out;
        };
        const auto crlf = Tokenizer::from_vocab_and_merges(vocab, windows(merges), "", "vocab.json");
        QVERIFY(crlf->encode("A longer sentence, 2024.") == whole->encode("A longer sentence, 2024."));
    }

    void facts() {
        QCOMPARE(gpt2_->vocab_size(), 50257);
        QCOMPARE(gpt2_->kind(), std::string("byte-level BPE"));
        QCOMPARE(gpt2_->bos().value_or(-1), 50256);
        QCOMPARE(gpt2_->eos().value_or(-1), 50256);
        QCOMPARE(gpt2_->unk().value_or(-1), 50256);
        QVERIFY(!gpt2_->pad());
        QCOMPARE(gpt2_->token_text(262), std::string("Ġthe"));
        QCOMPARE(gpt2_->token_bytes(262), std::string(" the"));
        QCOMPARE(gpt2_->token_bytes(172), std::string("\xF0"));
        QCOMPARE(gpt2_->id_of("Ġthe").value_or(-1), 262);
        QVERIFY(!gpt2_->id_of(" the"));
        QVERIFY(gpt2_->is_special(50256) && !gpt2_->is_special(262) && !gpt2_->is_special(-1));
        for (const std::int32_t absent : {-1, 50257, INT32_MAX, INT32_MIN}) {
            QVERIFY(!gpt2_->has_token(absent));
            QVERIFY(gpt2_->token_text(absent).empty() && gpt2_->token_bytes(absent).empty());
        }
        const auto tiny = Tokenizer::from_folder(folder + "tiny-chat");
        QCOMPARE(tiny->vocab_size(), 1012);
        QCOMPARE(tiny->bos().value_or(-1), 1000); // by well-known names: it has no configuration
        QCOMPARE(tiny->eos().value_or(-1), 1001);
        QCOMPARE(tiny->pad().value_or(-1), 1007);
        QVERIFY(!tiny->unk());
        QVERIFY(tiny->chat_template().empty());
    }

    void invalidUtf8CountsAsReplacement() {
        QVERIFY(gpt2_->encode("a\xFF\xE2\x82z") == gpt2_->encode("a\uFFFD\uFFFDz"));
    }

    void configuration() {
        const std::string file = read(folder + "tiny-chat/tokenizer.json");
        const auto with = [&](const std::string& config) { return Tokenizer::from_json(file, config, "t"); };
        const auto named = with(R"({"bos_token": null, "eos_token": {"content": "<|user|>", "lstrip": false},
            "pad_token": "<nowhere>", "chat_template": [{"name": "tools", "template": "T"},
            {"name": "default", "template": "{{ x }}"}]})");
        QVERIFY(!named->bos());
        QCOMPARE(named->eos().value_or(-1), 1002);
        QVERIFY(!named->pad());
        QCOMPARE(named->chat_template(), std::string("{{ x }}"));
        QCOMPARE(with(R"({"chat_template": "plain"})")->chat_template(), std::string("plain"));
    }

    void folders() {
        QTemporaryDir empty;
        const std::filesystem::path path = empty.path().toStdString();
        QVERIFY(!Tokenizer::from_folder(path));
        std::filesystem::copy(folder + "gpt2/vocab.json", path / "vocab.json");
        QVERIFY_EXCEPTION_THROWN(Tokenizer::from_folder(path), ergo::Error);
        std::filesystem::copy(folder + "gpt2/merges.txt", path / "merges.txt");
        std::ofstream(path / "tokenizer_config.json") << R"({"chat_template": "from config"})";
        QCOMPARE(Tokenizer::from_folder(path)->chat_template(), std::string("from config"));
        std::ofstream(path / "chat_template.jinja") << "from its own file";
        QCOMPARE(Tokenizer::from_folder(path)->chat_template(), std::string("from its own file"));
        QCOMPARE(Tokenizer::from_folder(path)->vocab_size(), 50257);
        std::filesystem::copy(folder + "tiny-chat/tokenizer.json", path / "tokenizer.json");
        QCOMPARE(Tokenizer::from_folder(path)->vocab_size(), 1012);
    }
};

QTEST_GUILESS_MAIN(TestCases)
#include "test_cases.moc"
