// SPDX-License-Identifier: GPL-3.0-or-later
// A flat token table gives the ids that the same tokenizer's tokenizer.json gives
// (tests/data/tokenizers/qwen2-small).
#include "engine/base/error.h"
#include "engine/tokenizer/token_table.h"
#include "engine/tokenizer/tokenizer.h"

#include <QtTest>

#include <nlohmann/json.hpp>

#include <deque>
#include <filesystem>
#include <fstream>

using namespace ergo;
using Json = nlohmann::json;

namespace {

const std::string folder = std::string(ERGO_TEST_DATA) + "/tokenizers/";

std::string read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

/// A table as GGUF has it, and what its views point into.
struct OwnedTable {
    std::deque<std::string> texts;
    TokenTable table;

    std::string_view keep(std::string text) { return texts.emplace_back(std::move(text)); }
};

// From a tokenizer.json, with `padding` unused tokens behind.
void fill(OwnedTable& out, const Json& file, std::size_t padding) {
    TokenTable& table = out.table;
    table.model = "gpt2";
    table.split = "qwen2";
    const Json& vocab = file.at("model").at("vocab");
    std::size_t size = vocab.size();
    for (const Json& token : file.at("added_tokens")) {
        size = std::max(size, token.at("id").get<std::size_t>() + 1);
    }
    size += padding;
    table.kinds.assign(size, static_cast<std::int64_t>(TokenTable::Kind::unused));
    for (std::size_t id = 0; id < size; ++id) {
        table.tokens.push_back(out.keep("[PAD" + std::to_string(id) + "]"));
    }
    const auto put = [&](std::size_t id, const std::string& text, TokenTable::Kind kind) {
        table.tokens[id] = out.keep(text);
        table.kinds[id] = static_cast<std::int64_t>(kind);
    };
    for (const auto& [text, id] : vocab.items()) {
        put(id, text, TokenTable::Kind::normal);
    }
    for (const Json& token : file.at("added_tokens")) {
        put(token.at("id"), token.at("content"),
            token.at("special") ? TokenTable::Kind::control : TokenTable::Kind::user_defined);
    }
    for (const Json& merge : file.at("model").at("merges")) {
        table.merges.push_back(
            out.keep(merge.is_string() ? merge.get<std::string>()
                                       : merge[0].get<std::string>() + " " + merge[1].get<std::string>()));
    }
}

QString code_of(const std::function<void(TokenTable&)>& spoil, ErrorKind* kind = nullptr) {
    OwnedTable owned;
    fill(owned, Json::parse(read(folder + "qwen2-small/tokenizer.json")), 2);
    spoil(owned.table);
    try {
        Tokenizer::from_table(owned.table, "model.gguf");
    } catch (const Error& error) {
        if (kind) {
            *kind = error.kind();
        }
        return QString::fromStdString(error.where().code);
    }
    return "none";
}

} // namespace

class TestTokenTable : public QObject {
    Q_OBJECT

  private slots:
    void same_ids_as_tokenizer_json_data() {
        QTest::addColumn<QString>("name");
        QTest::newRow("small") << "qwen2-small";
        if (std::filesystem::exists(folder + "qwen2/tokenizer.json")) { // too large to keep
            QTest::newRow("whole") << "qwen2";
        }
    }

    void same_ids_as_tokenizer_json() {
        QFETCH(QString, name);
        const std::string text = read(folder + name.toStdString() + "/tokenizer.json");
        OwnedTable owned;
        fill(owned, Json::parse(text), 3);
        const auto table = Tokenizer::from_table(owned.table, "model.gguf");
        const auto json = Tokenizer::from_json(text, "", "tokenizer.json");
        QCOMPARE(table->vocab_size(), json->vocab_size()); // unused tokens are none
        QCOMPARE(table->kind(), json->kind());
        std::ifstream cases(folder + "qwen2-small/cases.jsonl");
        int checked = 0;
        for (std::string line; std::getline(cases, line); ++checked) {
            const Json item = Json::parse(line);
            const auto words = item.at("text").get<std::string>();
            const auto ids = table->encode(words);
            if (name == "qwen2-small") {
                QCOMPARE(ids, item.at("ids").get<std::vector<std::int32_t>>());
            }
            QCOMPARE(ids, json->encode(words));
            QCOMPARE(table->encode(words, {.match_special_in_text = false}),
                     json->encode(words, {.match_special_in_text = false}));
            QCOMPARE(table->decode(ids), json->decode(ids));
            QCOMPARE(table->decode(ids, true), json->decode(ids, true));
        }
        QCOMPARE(checked, 55);
        for (std::int32_t id = 0; id < json->vocab_size(); ++id) {
            QCOMPARE(table->is_special(id), json->is_special(id));
            QCOMPARE(table->token_text(id), json->token_text(id));
        }
    }

    void knows_its_parts() {
        OwnedTable owned;
        fill(owned, Json::parse(read(folder + "qwen2-small/tokenizer.json")), 0);
        owned.table.bos = 1756;
        owned.table.eos = 1758;
        owned.table.pad = 1756;
        owned.table.add_bos = owned.table.add_eos = true;
        owned.table.chat_template = "{{ messages }}";
        const auto tokenizer = Tokenizer::from_table(owned.table, "model.gguf");
        QCOMPARE(tokenizer->bos(), std::optional(1756));
        QCOMPARE(tokenizer->eos(), std::optional(1758));
        QCOMPARE(tokenizer->pad(), std::optional(1756));
        QCOMPARE(tokenizer->chat_template(), std::string("{{ messages }}"));
        const auto plain = tokenizer->encode("river");
        auto around = plain;
        around.insert(around.begin(), 1756);
        around.push_back(1758);
        QCOMPARE(tokenizer->encode("river", {.add_special_tokens = true}), around);
        QVERIFY(plain != around);
    }

    void without_kinds_parts_are_special() {
        OwnedTable owned;
        fill(owned, Json::parse(read(folder + "qwen2-small/tokenizer.json")), 0);
        owned.table.kinds.clear();
        owned.table.eos = 1758;
        const auto tokenizer = Tokenizer::from_table(owned.table, "model.gguf");
        QCOMPARE(tokenizer->encode("<|im_end|>"), (std::vector<std::int32_t>{1758}));
        QVERIFY(tokenizer->is_special(1758) && !tokenizer->is_special(1757));
    }

    void splits_as_gpt2_when_it_says_so() {
        OwnedTable owned;
        fill(owned, Json::parse(read(folder + "qwen2-small/tokenizer.json")), 0);
        owned.table.split = "gpt-2";
        const auto gpt2 = Tokenizer::from_table(owned.table, "model.gguf");
        owned.table.split = "qwen2";
        const auto digits = Tokenizer::from_table(owned.table, "model.gguf");
        QVERIFY(gpt2->encode("cafe\xCC\x81") != digits->encode("cafe\xCC\x81")); // only one composes it first
    }

    void refuses_what_is_wrong() {
        ErrorKind kind{};
        QCOMPARE(code_of([](TokenTable&) {}), QString("none"));
        QCOMPARE(code_of([](TokenTable& t) { t.model = "llama"; }, &kind), QString("GG-TOKENIZER"));
        QCOMPARE(kind, ErrorKind::unsupported);
        QCOMPARE(code_of([](TokenTable& t) { t.split = "dbrx"; }, &kind), QString("GG-TOKENIZER"));
        QCOMPARE(kind, ErrorKind::unsupported);
        QCOMPARE(code_of([](TokenTable& t) { t.split.clear(); }), QString("GG-TOKENIZER"));
        QCOMPARE(code_of([](TokenTable& t) { t.kinds.pop_back(); }, &kind), QString("GG-TOKENIZER"));
        QCOMPARE(kind, ErrorKind::format);
        QCOMPARE(code_of([](TokenTable& t) { t.kinds[3] = 7; }), QString("GG-TOKENIZER"));
        QCOMPARE(code_of([](TokenTable& t) { t.tokens.clear(); }), QString("GG-TOKENIZER"));
        QCOMPARE(code_of([](TokenTable& t) { t.eos = 1780; }), QString("GG-TOKENIZER"));
        QCOMPARE(code_of([](TokenTable& t) { t.bos = -1; }), QString("GG-TOKENIZER"));
        QCOMPARE(code_of([](TokenTable& t) { t.add_bos = true; }), QString("GG-TOKENIZER"));
        QCOMPARE(code_of([](TokenTable& t) { t.tokens[5] = "\xff"; }), QString("GG-TOKENIZER"));
        QCOMPARE(code_of([](TokenTable& t) { t.tokens[5] = t.tokens[6]; }), QString("TK-VOCAB"));
        QCOMPARE(code_of([](TokenTable& t) { t.tokens[1757] = t.tokens[1758]; }), QString("TK-ADDED"));
        QCOMPARE(code_of([](TokenTable& t) { t.tokens[1757] = "a"; }), QString("TK-ADDED"));
        const std::string longest(5000, 'x');
        QCOMPARE(code_of([&](TokenTable& t) { t.tokens[1757] = longest; }), QString("TK-ADDED"));
        QCOMPARE(code_of([](TokenTable& t) { t.merges[9] = "ab"; }), QString("TK-MERGE"));
        QCOMPARE(code_of([](TokenTable& t) { t.merges[9] = "a  b"; }), QString("TK-MERGE"));
        QCOMPARE(code_of([](TokenTable& t) { t.merges[9] = "\xff b"; }), QString("TK-MERGE"));
        QCOMPARE(code_of([](TokenTable& t) { t.merges[9] = "qqqq b"; }), QString("TK-MERGE"));
    }
};

QTEST_GUILESS_MAIN(TestTokenTable)
#include "test_token_table.moc"
