// SPDX-License-Identifier: GPL-3.0-or-later
// Every kind of model, normalizer, pre-tokenizer and decoder against the reference
// (tests/data/tokenizers/components), vocab.txt, and the self-test at loading.
#include "engine/base/error.h"
#include "engine/tokenizer/tokenizer.h"

#include <QtTest>

#include <nlohmann/json.hpp>

#include <fstream>

using ergo::Error;
using ergo::Tokenizer;
using Json = nlohmann::json;

namespace {

const std::string folder = std::string(ERGO_TEST_DATA) + "/tokenizers/";

std::vector<Json> read_lines(const std::string& path) {
    std::ifstream in(path);
    std::vector<Json> lines;
    for (std::string line; std::getline(in, line);) {
        lines.push_back(Json::parse(line));
    }
    return lines;
}

// What differs, or "".
std::string difference(const std::shared_ptr<const Tokenizer>& tokenizer, const Json& item) {
    if (!item.contains("decode")) {
        const auto text = item.at("text").get<std::string>();
        const bool special = item.at("add_special_tokens");
        const auto made = tokenizer->encode_with_positions(text, {.add_special_tokens = special});
        const bool rising =
            std::is_sorted(made.begin.begin(), made.begin.end()) && made.begin.size() == made.ids.size();
        const Json ids = tokenizer->encode(text, {.add_special_tokens = special});
        if (ids == item.at("ids") && ids == Json(made.ids) && rising) {
            return {};
        }
        return Json(text).dump() + "\n  expected " + item.at("ids").dump() + "\n  got      " + ids.dump() +
               (rising ? "" : "\n  positions " + Json(made.begin).dump());
    }
    const auto ids = item.at("decode").get<std::vector<std::int32_t>>();
    const bool skip = item.at("skip_special_tokens");
    const std::string text = tokenizer->decode(ids, skip);
    ergo::StreamDecoder stream(tokenizer, skip);
    std::string streamed;
    for (const std::int32_t id : ids) {
        streamed += stream.push(id);
    }
    streamed += stream.finish();
    if (Json(text) == item.at("text") && streamed == text) {
        return {};
    }
    return Json(ids).dump() + "\n  expected " + item.at("text").dump() + "\n  got      " + Json(text).dump() +
           "\n  streamed " + Json(streamed).dump();
}

std::string refusal(const std::function<void()>& load) {
    try {
        load();
    } catch (const Error& error) {
        return error.where().code + " " + error.message();
    }
    return {};
}

} // namespace

class TestComponents : public QObject {
    Q_OBJECT

    const std::vector<Json> lines_ = read_lines(folder + "components/cases.jsonl");

  private slots:
    void asTheReference_data() {
        QTest::addColumn<int>("line");
        int number = 0;
        for (const Json& line : lines_) {
            QTest::addRow("%s", line.at("name").get<std::string>().c_str()) << number++;
        }
        QVERIFY(number > 50);
    }

    void asTheReference() {
        QFETCH(int, line);
        const Json& item = lines_[static_cast<std::size_t>(line)];
        const auto tokenizer = Tokenizer::from_json(item.at("tokenizer").dump(), "", "tokenizer.json");
        int wrong = 0;
        for (const Json& one : item.at("cases")) {
            if (const std::string what = difference(tokenizer, one); !what.empty() && ++wrong <= 3) {
                qWarning("%s", what.c_str());
            }
        }
        QCOMPARE(wrong, 0);
    }

    void vocabTxtIsTheSameAsItsTokenizerJson() {
        const auto found = std::find_if(lines_.begin(), lines_.end(),
                                        [](const Json& line) { return line.at("name") == "WordPiece"; });
        std::map<int, std::string> by_id;
        for (const auto& [token, id] : found->at("tokenizer").at("model").at("vocab").items()) {
            by_id[id.get<int>()] = token;
        }
        std::string text;
        for (const auto& [id, token] : by_id) {
            text += token + (id % 2 ? "\n" : "\r\n");
        }
        const auto whole = Tokenizer::from_json(found->at("tokenizer").dump(), "", "tokenizer.json");
        const auto lines = Tokenizer::from_vocab_txt(text, "", "vocab.txt");
        QCOMPARE(lines->kind(), std::string("WordPiece"));
        QCOMPARE(lines->vocab_size(), whole->vocab_size());
        int same = 0;
        for (const Json& item : found->at("cases")) {
            if (!item.contains("decode")) {
                const auto input = item.at("text").get<std::string>();
                if (input.size() < 90) { // the reference file limits words to 12 characters
                    const bool special = item.at("add_special_tokens");
                    QVERIFY(lines->encode(input, {.add_special_tokens = special}).size() > 0 ||
                            input.size() < 3);
                    ++same;
                }
            }
        }
        QVERIFY(same > 10);
        QVERIFY(lines->encode("Hello, caf\u00e9!", {}) == whole->encode("Hello, caf\u00e9!", {}));
        QCOMPARE(lines->unk().value_or(-1), 1);
        const auto cased = Tokenizer::from_vocab_txt(text, R"({"do_lower_case": false})", "vocab.txt");
        QVERIFY(cased->encode("Hello", {}) == std::vector<std::int32_t>{1});
        const auto twice = Tokenizer::from_vocab_txt("[UNK]\na\n\n##b\na\n", "", "vocab.txt");
        QVERIFY(twice->encode("ab a", {}) == (std::vector<std::int32_t>{4, 3, 4}));
        QCOMPARE(twice->warnings().size(), std::size_t(1));
        QVERIFY(!twice->has_token(1) && !twice->has_token(2) && twice->vocab_size() == 5);
        QVERIFY(
            refusal([] { Tokenizer::from_vocab_txt("a\nb\n", "", "vocab.txt"); }).starts_with("TK-TYPE "));
        QVERIFY(
            refusal([] { Tokenizer::from_vocab_txt("a\n##b\n", "", "vocab.txt"); }).starts_with("TK-UNK "));
        QVERIFY(refusal([] {
                    Tokenizer::from_vocab_txt("\xFF\n##b\n", "", "vocab.txt");
                }).starts_with("TK-VOCAB "));
        QTemporaryDir model;
        std::ofstream(std::filesystem::path(model.path().toStdString()) / "vocab.txt") << text;
        QCOMPARE(Tokenizer::from_folder(model.path().toStdString())->kind(), std::string("WordPiece"));
    }

    void malformedComponents_data() {
        QTest::addColumn<QByteArray>("patch");
        QTest::addColumn<QByteArray>("code");
        const auto row = [](const char* name, const char* patch, const char* code) {
            QTest::newRow(name) << QByteArray(patch) << QByteArray(code);
        };
        row("unigram without scores", R"({"model": {"type": "Unigram", "vocab": [["a"]]}})", "TK-VOCAB");
        row("unigram twice", R"({"model": {"type": "Unigram", "vocab": [["a", 0], ["a", 0]]}})", "TK-VOCAB");
        row("unigram unk", R"({"model": {"type": "Unigram", "unk_id": 5, "vocab": [["a", 0]]}})", "TK-UNK");
        row("word piece unk", R"({"model": {"type": "WordPiece", "unk_token": "?", "vocab": {"a": 0}}})",
            "TK-UNK");
        row("word level unk", R"({"model": {"type": "WordLevel", "unk_token": "?", "vocab": {"a": 0}}})",
            "TK-UNK");
        row("no such model", R"({"model": {"type": "Magic"}})", "TK-TYPE");
        row("no such normalizer", R"({"normalizer": {"type": "Magic"}})", "TK-TYPE");
        row("no such pre-tokenizer", R"({"pre_tokenizer": {"type": "Magic"}})", "TK-TYPE");
        row("no such decoder", R"({"decoder": {"type": "Magic"}})", "TK-TYPE");
        row("charsmap", R"({"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}})",
            "F-JSON");
        row("charsmap size",
            R"({"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAAAQAAAAA="}})", "F-JSON");
        row("metaspace", R"({"pre_tokenizer": {"type": "Metaspace", "replacement": ""}})", "F-JSON");
        row("scheme", R"({"pre_tokenizer": {"type": "Metaspace", "prepend_scheme": "often"}})", "TK-TYPE");
        row("regex", R"({"normalizer": {"type": "Replace", "pattern": {"Regex": "*"}, "content": ""}})",
            "TK-REGEX");
        row("behaviour", R"({"pre_tokenizer": {"type": "Punctuation", "behavior": "Wild"}})", "TK-TYPE");
        row("length", R"({"pre_tokenizer": {"type": "FixedLength", "length": 0}})", "F-JSON");
    }

    void malformedComponents() {
        QFETCH(QByteArray, patch);
        QFETCH(QByteArray, code);
        Json file = Json::parse(R"({"version": "1.0", "model": {"type": "WordLevel", "vocab": {"a": 0}}})");
        QVERIFY(Tokenizer::from_json(file.dump(), "", "t"));
        const Json change = Json::parse(patch.toStdString());
        if (change.contains("model")) {
            file["model"] = change["model"];
        } else {
            file.merge_patch(change);
        }
        const std::string got = refusal([&] { Tokenizer::from_json(file.dump(), "", "tokenizer.json"); });
        QVERIFY2(got.starts_with(code.toStdString() + " "), got.c_str());
    }

    void selfTest() {
        QVERIFY(Tokenizer::from_folder(folder + "gpt2")->warnings().empty());
        QVERIFY(Tokenizer::from_folder(folder + "tiny-chat")->warnings().empty());
        Json file;
        std::ifstream(folder + "tiny-chat/tokenizer.json") >> file;
        file["pre_tokenizer"]["add_prefix_space"] = true; // one space before a text is no loss
        QVERIFY(Tokenizer::from_json(file.dump(), "", "t")->warnings().empty());
        file["model"]["vocab"].erase("\u0120"); // no space any more
        Json merges = Json::array();
        file["model"]["merges"] = merges;
        const auto lossy = Tokenizer::from_json(file.dump(), "", "t");
        QCOMPARE(lossy->warnings().size(), std::size_t(1));
        QVERIFY(lossy->warnings()[0].starts_with("TK-ROUNDTRIP"));
    }

    void positions() {
        const auto gpt2 = Tokenizer::from_folder(folder + "gpt2");
        const std::string text = "Hello w\u00f6rld<|endoftext|> again";
        const auto made = gpt2->encode_with_positions(text);
        for (std::size_t i = 0; i < made.ids.size(); ++i) {
            const std::size_t end = i + 1 < made.ids.size() ? made.begin[i + 1] : text.size();
            QVERIFY(text.substr(made.begin[i], end - made.begin[i]) == gpt2->token_bytes(made.ids[i]));
        }
        const ergo::ByteRange plain[] = {{14, 15}};
        const auto kept = gpt2->encode(text, {.plain = plain});
        QVERIFY(std::find(kept.begin(), kept.end(), 50256) == kept.end());
        QCOMPARE(gpt2->decode(kept), text);
        const ergo::ByteRange beside[] = {{0, 12}, {26, 30}};
        QVERIFY(gpt2->encode(text, {.plain = beside}) == gpt2->encode(text));
    }
};

QTEST_GUILESS_MAIN(TestComponents)
#include "test_components.moc"
