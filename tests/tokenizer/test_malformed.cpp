// SPDX-License-Identifier: GPL-3.0-or-later
// Files that are broken, hostile or beyond this program: one clear sentence each, never a crash.
#include "engine/base/error.h"
#include "engine/tokenizer/json_reader.h"
#include "engine/tokenizer/tokenizer.h"

#include <QtTest>

#include <nlohmann/json.hpp>

#include <fstream>

using ergo::Error;
using ergo::ErrorKind;
using ergo::Tokenizer;
using Json = nlohmann::json;

Q_DECLARE_METATYPE(ergo::ErrorKind)

namespace {

const std::string folder = std::string(ERGO_TEST_DATA) + "/tokenizers/";

// A small whole file, to be broken.
Json whole() {
    return Json::parse(R"({
        "version": "1.0",
        "added_tokens": [{"id": 3, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
                          "normalized": false, "special": true}],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": {"type": "TemplateProcessing",
                           "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                                      {"Sequence": {"id": "A", "type_id": 0}}],
                           "special_tokens": {"<s>": {"id": "<s>", "ids": [3], "tokens": ["<s>"]}}},
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})");
}

std::string read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

struct Refusal {
    std::optional<ErrorKind> kind; // nullopt: nothing was thrown
    std::string code, file, message;
};

template <class Load> Refusal refusal(const Load& load) {
    try {
        load();
    } catch (const Error& error) {
        return {error.kind(), error.where().code, error.where().file, error.message()};
    }
    return {};
}

Refusal refusal_of(const std::string& text, const std::string& config = "") {
    return refusal([&] { Tokenizer::from_json(text, config, "tokenizer.json"); });
}

} // namespace

class TestMalformed : public QObject {
    Q_OBJECT

  private slots:
    void theWholeFileIsGood() {
        const auto tokenizer = Tokenizer::from_json(whole().dump(), "", "t");
        QVERIFY(tokenizer->encode("ab<s>b", {.add_special_tokens = true}) ==
                (std::vector<std::int32_t>{3, 2, 3, 1}));
        Json no_type = whole();
        no_type["model"].erase("type"); // old files
        QCOMPARE(Tokenizer::from_json("\xEF\xBB\xBF" + no_type.dump(), "", "t")->vocab_size(), 4);
    }

    void patched_data() {
        QTest::addColumn<QByteArray>("patch"); // RFC 7386
        QTest::addColumn<ErrorKind>("kind");
        QTest::addColumn<QByteArray>("code");
        const auto bad = [](const char* patch, const char* code, ErrorKind kind = ErrorKind::format) {
            QTest::newRow(patch) << QByteArray(patch) << kind << QByteArray(code);
        };
        const auto beyond = [&](const char* patch, const char* code = "TK-TYPE") {
            bad(patch, code, ErrorKind::unsupported);
        };
        bad(R"({"model": null})", "F-JSON");
        bad(R"({"model": 7})", "F-JSON");
        bad(R"({"model": {"vocab": null}})", "F-JSON");
        bad(R"({"model": {"vocab": ["a"]}})", "F-JSON");
        bad(R"({"model": {"merges": null}})", "F-JSON");
        bad(R"({"model": {"merges": {"a": "b"}}})", "F-JSON");
        bad(R"({"model": {"fuse_unk": "yes"}})", "F-JSON");
        bad(R"({"model": {"vocab": {"c": 1}}})", "TK-VOCAB");
        bad(R"({"model": {"vocab": {"c": -1}}})", "TK-VOCAB");
        bad(R"({"model": {"vocab": {"c": 16000000}}})", "TK-VOCAB");
        bad(R"({"model": {"vocab": {"c": 18446744073709551615}}})", "TK-VOCAB");
        bad(R"({"model": {"vocab": {"c": 4294967299}}})", "TK-VOCAB");
        bad(R"({"model": {"vocab": {"c": 5.0}}})", "TK-VOCAB");
        bad(R"({"model": {"vocab": {"c": "5"}}})", "TK-VOCAB");
        bad(R"({"model": {"vocab": {"c": [5]}}})", "TK-VOCAB");
        bad(R"({"model": {"merges": ["a c"]}})", "TK-MERGE");
        bad(R"({"model": {"merges": ["c a"]}})", "TK-MERGE");
        bad(R"({"model": {"merges": ["b a"]}})", "TK-MERGE");
        bad(R"({"model": {"merges": ["ab"]}})", "TK-MERGE");
        bad(R"({"model": {"merges": ["a b c"]}})", "TK-MERGE");
        bad(R"({"model": {"merges": [""]}})", "TK-MERGE");
        bad(R"({"model": {"merges": [["a"]]}})", "TK-MERGE");
        bad(R"({"model": {"merges": [["a", 1]]}})", "TK-MERGE");
        bad(R"({"model": {"merges": [["a", "b", "a"]]}})", "TK-MERGE");
        bad(R"({"model": {"merges": [3]}})", "TK-MERGE");
        bad(R"({"model": {"continuing_subword_prefix": "####"}})", "TK-MERGE");
        bad(R"({"model": {"unk_token": "<unk>"}})", "TK-UNK");
        bad(R"({"added_tokens": {}})", "F-JSON");
        bad(R"({"added_tokens": [{"id": 4}]})", "F-JSON");
        bad(R"({"added_tokens": [{"content": "<s>"}]})", "F-JSON");
        bad(R"({"added_tokens": [{"id": -4, "content": "<s>"}]})", "F-JSON");
        bad(R"({"added_tokens": [{"id": 99999999, "content": "<s>"}]})", "F-JSON");
        bad(R"({"added_tokens": [{"id": 1e3, "content": "<s>"}]})", "F-JSON");
        bad(R"({"added_tokens": [{"id": 3, "content": "<s>", "special": 1}]})", "F-JSON");
        bad(R"({"added_tokens": [{"id": 3, "content": "<s>"}, {"id": 3, "content": "<t>"}]})", "TK-ADDED");
        bad(R"({"added_tokens": [{"id": 3, "content": "<s>"}, {"id": 4, "content": "<s>"}]})", "TK-ADDED");
        bad(R"({"added_tokens": [{"id": 1, "content": "<s>"}]})", "TK-ADDED");
        bad(R"({"added_tokens": [{"id": 3, "content": "ab"}]})", "TK-ADDED");
        bad(R"({"added_tokens": []})", "TK-VOCAB"); // the post-processor writes 3
        bad(R"({"normalizer": "NFC"})", "F-JSON");
        bad(R"({"normalizer": {"type": null}})", "F-JSON");
        bad(R"({"normalizer": {"type": "Sequence"}})", "F-JSON");
        bad(R"({"pre_tokenizer": {"type": "ByteLevel", "use_regex": "no"}})", "F-JSON");
        bad(R"({"pre_tokenizer": {"type": "Split"}})", "F-JSON");
        bad(R"({"pre_tokenizer": {"type": "Split", "pattern": {}, "behavior": "Removed"}})", "F-JSON");
        bad(R"({"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "a", "String": "a"}, "behavior": "Removed"}})",
            "F-JSON");
        bad(R"({"post_processor": {"single": [{"SpecialToken": {"id": "<t>"}}]}})", "F-JSON");
        bad(R"({"post_processor": {"single": [{"Sequence": {"id": "B"}}]}})", "F-JSON");
        bad(R"({"post_processor": {"single": [{}]}})", "F-JSON");
        bad(R"({"post_processor": {"special_tokens": {"<s>": {"ids": [9]}}}})", "TK-VOCAB");
        bad(R"({"post_processor": {"type": "RobertaProcessing", "cls": ["<s>"], "sep": ["<s>", 3]}})",
            "F-JSON");
        bad(R"({"version": 1})", "F-JSON");
        beyond(R"({"version": "2.0"})", "TK-VERSION");
        bad(R"({"model": {"type": "Unigram"}})", "F-JSON");   // whose vocabulary is a list
        bad(R"({"model": {"type": "WordPiece"}})", "F-JSON"); // which needs an unknown token
        bad(R"({"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Precompiled"}]}})",
            "F-JSON");
        beyond(R"({"model": {"type": "Magic"}})");
        beyond(
            R"({"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Magic"}]}})");
        beyond(R"({"pre_tokenizer": {"type": "UnicodeScrolls"}})");
        beyond(R"({"pre_tokenizer": {"type": "Split", "pattern": {"String": " "}, "behavior": "Sideways"}})");
        beyond(R"({"post_processor": {"type": "Whatever"}})");
        beyond(R"({"decoder": {"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "Magic"}]}})");
        for (const char* pattern :
             {"[a", "(a", "a)", "a\\", "[a&&b]", "[[a]b]", "\\p{NoSuchScript}", "\\pL", "\\p{L", "(?~a)",
              "(*FAIL)", "[\\W]", "\\xFF", "*", "[z-a]", "\\N", "(?P<n>a)"}) {
            Json patch = Json::parse(R"({"pre_tokenizer": {"type": "Split", "behavior": "Isolated"}})");
            patch["pre_tokenizer"]["pattern"]["Regex"] = pattern;
            beyond(patch.dump().c_str(), "TK-REGEX");
        }
    }

    void patched() {
        QFETCH(QByteArray, patch);
        QFETCH(ErrorKind, kind);
        QFETCH(QByteArray, code);
        Json file = whole();
        file.merge_patch(Json::parse(patch.toStdString()));
        const Refusal got = refusal_of(file.dump());
        QVERIFY2(got.kind.has_value(), "accepted");
        QCOMPARE(QByteArray::fromStdString(got.code), code);
        QVERIFY(*got.kind == kind);
        QCOMPARE(got.file, std::string("tokenizer.json"));
        QVERIFY(!got.message.empty() && got.message.back() != ' ');
    }

    void theTypeIsNamed() {
        Json file = whole();
        file["pre_tokenizer"] =
            Json::parse(R"({"type": "Sequence", "pretokenizers": [{"type": "UnicodeScrolls"}]})");
        const std::string message = refusal_of(file.dump()).message;
        QVERIFY2(message.find("UnicodeScrolls") != std::string::npos, message.c_str());
        QVERIFY2(message.find("pre_tokenizer.pretokenizers[0]") != std::string::npos, message.c_str());
    }

    void noJson() {
        for (const std::string& text :
             {std::string(), std::string("{"), std::string("[]"), std::string("null"),
              std::string("{\"a\": \xFF}"), std::string("{\"a\": \"\\ud800\"}"), std::string("{} {}"),
              std::string(3, '\0'), std::string("\"\\"), std::string("{\"a\": 1e999}"),
              std::string(100'000, '['), std::string(65, '[') + std::string(65, ']')}) {
            const Refusal got = refusal_of(text);
            QVERIFY2(got.kind == ErrorKind::format, text.substr(0, 40).c_str());
            QCOMPARE(got.code, std::string("F-JSON"));
        }
        const Refusal placed = refusal_of("{\n \"a\": x}");
        QVERIFY2(placed.message.find("line 2, column 7") != std::string::npos, placed.message.c_str());
    }

    void tooLarge() {
        const Refusal got = refusal_of(std::string(ergo::tokenizer_json_limit + 1, ' '));
        QVERIFY(got.kind == ErrorKind::resources);
        QCOMPARE(got.code, std::string("F-TOO-LARGE"));
        std::string values = "["; // 12 MB as a text, hundreds as a tree
        for (int i = 0; i < 6'000'000; ++i) {
            values += "1,";
        }
        QCOMPARE(refusal_of(values + "1]").code, std::string("F-TOO-LARGE"));
        Json file = whole();
        file["added_tokens"][0]["content"] = std::string(5000, 'x');
        QCOMPARE(refusal_of(file.dump()).code, std::string("TK-ADDED"));
    }

    void configurations() {
        for (const char* config : {"{", "[]", R"({"bos_token": 3})", R"({"eos_token": {"text": "x"}})",
                                   R"({"chat_template": 1})", R"({"chat_template": [{"name": "default"}]})",
                                   R"({"added_tokens_decoder": {"x": {"content": "y"}}})",
                                   R"({"added_tokens_decoder": {"-1": {"content": "y"}}})",
                                   R"({"added_tokens_decoder": {"1": 2}})",
                                   R"({"additional_special_tokens": "x"})", R"({"tokenizer_class": []})"}) {
            const Refusal got = refusal_of(whole().dump(), config);
            QVERIFY2(got.kind == ErrorKind::format, config);
            QCOMPARE(got.file, std::string("tokenizer_config.json"));
        }
    }

    void vocabAndMerges() {
        const auto load = [](const std::string& vocab, const std::string& merges,
                             const std::string& config = "") {
            return refusal([&] { Tokenizer::from_vocab_and_merges(vocab, merges, config, "vocab.json"); });
        };
        const std::string vocab = R"({"a": 0, "b": 1, "ab": 2, "#": 3, "##": 4})";
        QVERIFY(!load(vocab, "#version: 0.2\na b\n# #\n").kind); // "# #" is a merge
        QVERIFY(!load(vocab, "").kind);
        QCOMPARE(load(vocab, "a b\n\nb a").code, std::string("TK-MERGE"));
        QCOMPARE(load(vocab, "a  b").code, std::string("TK-MERGE"));
        QCOMPARE(load(vocab, "a b b").code, std::string("TK-MERGE"));
        QCOMPARE(load(vocab, "b a").code, std::string("TK-MERGE"));
        QCOMPARE(load(vocab, "a \xFF").code, std::string("TK-MERGE"));
        QCOMPARE(load("[]", "a b").code, std::string("F-JSON"));
        QCOMPARE(load(R"({"a": 1, "b": 1})", "").code, std::string("TK-VOCAB"));
        QCOMPARE(load(vocab, "a b", R"({"tokenizer_class": "LlamaTokenizer"})").code,
                 std::string("TK-PRETOKENIZER"));
        QCOMPARE(load(vocab, "a b", R"({"added_tokens_decoder": {"0": {"content": "<s>"}}})").code,
                 std::string("TK-ADDED"));
        QCOMPARE(load(vocab, "a b",
                      R"({"added_tokens_decoder": {"7": {"content": "<s>"}, "8": {"content": "<s>"}}})")
                     .code,
                 std::string("TK-ADDED"));
    }

    // A real file with bytes changed or cut off: an error or a tokenizer that works, nothing else.
    void damagedFiles() {
        const std::string good = read(folder + "tiny-chat/tokenizer.json");
        QVERIFY(good.size() > 20'000);
        std::uint32_t state = 1;
        const auto random = [&](std::size_t below) {
            state = state * 1664525u + 1013904223u;
            return (state >> 8) % below;
        };
        int refused = 0;
        for (int round = 0; round < 600; ++round) {
            std::string bytes = good;
            for (std::size_t i = 0; i < 1 + random(3); ++i) {
                bytes[random(bytes.size())] = "\"{}[],:0129-\\\xFFuxa "[random(18)];
            }
            if (round % 5 == 0) {
                bytes.resize(random(bytes.size()));
            }
            try {
                const auto tokenizer = Tokenizer::from_json(bytes, "", "damaged");
                const auto ids =
                    tokenizer->encode("Kotodama <mask> and\n123 <|user|>é日", {.add_special_tokens = true});
                tokenizer->decode(ids);
            } catch (const Error& error) {
                QVERIFY(error.kind() == ErrorKind::format || error.kind() == ErrorKind::unsupported);
                ++refused;
            }
        }
        QVERIFY(refused > 200);
    }

    // Parts that multiply a text, chained, are stopped before they fill the memory.
    void partsThatMultiply() {
        const auto chain = [](const char* kind, const Json& step, int count) {
            Json steps = Json::array();
            for (int i = 0; i < count; ++i) {
                steps.push_back(step);
            }
            return Json{{"type", "Sequence"}, {kind, steps}};
        };
        const auto code = [](const Json& file) {
            return refusal([&] { Tokenizer::from_json(file.dump(), "", "tokenizer.json")->encode("aaaa"); })
                .code;
        };
        const Json replace =
            Json::parse(R"({"type": "Replace", "pattern": {"String": "a"}, "content": "aaaaaaaaaa"})");
        Json file = whole();
        file["normalizer"] = chain("normalizers", replace, 1);
        QCOMPARE(code(file), std::string());
        file["normalizer"] = chain("normalizers", replace, 12);
        QCOMPARE(code(file), std::string("TK-LIMIT"));
        file["normalizer"] =
            chain("normalizers", {{"type", "Prepend"}, {"prepend", std::string(20'000, 'a')}}, 12);
        QCOMPARE(code(file), std::string("TK-LIMIT"));
        file = whole();
        file["decoder"] = chain("decoders", replace, 1);
        QCOMPARE(code(file), std::string());
        file["decoder"] = chain("decoders", replace, 2);
        QCOMPARE(code(file), std::string("TK-LIMIT"));
        file = whole();
        file["model"]["continuing_subword_prefix"] = std::string(65, 'x');
        QCOMPARE(code(file), std::string("TK-LIMIT"));
    }

    // A pattern made to take exponential time is stopped.
    void endlessPattern() {
        Json file = whole();
        file["pre_tokenizer"] =
            Json::parse(R"({"type": "Split", "behavior": "Isolated", "pattern": {"Regex": "(?:a|aa)+$"}})");
        const auto tokenizer = Tokenizer::from_json(file.dump(), "", "t");
        const Refusal got = refusal([&] { tokenizer->encode(std::string(200, 'a') + 'c'); });
        QVERIFY(got.kind == ErrorKind::resources);
        QCOMPARE(got.code, std::string("TK-REGEX-LIMIT"));
    }
};

QTEST_GUILESS_MAIN(TestMalformed)
#include "test_malformed.moc"
