// SPDX-License-Identifier: GPL-3.0-or-later
// StreamDecoder: never half a character, and together what decode() gives.
#include "engine/base/utf8.h"
#include "engine/tokenizer/tokenizer.h"

#include <QtTest>

#include <map>
#include <random>

using ergo::StreamDecoder;
using ergo::Tokenizer;

namespace {

using Ids = std::vector<std::int32_t>;

const std::string folder = std::string(ERGO_TEST_DATA) + "/tokenizers/";

// One token for each byte.
Ids by_bytes(const Tokenizer& tokenizer, const std::string& text) {
    std::map<std::string, std::int32_t> id_of_byte;
    for (std::int32_t id = 0; id < 256; ++id) {
        id_of_byte[tokenizer.token_bytes(id)] = id;
    }
    Ids ids;
    for (const char byte : text) {
        ids.push_back(id_of_byte.at(std::string(1, byte)));
    }
    return ids;
}

void check_stream(const std::shared_ptr<const Tokenizer>& tokenizer, const Ids& ids, bool skip) {
    StreamDecoder stream(tokenizer, skip);
    std::string text;
    std::string bytes; // what has been put in
    for (const std::int32_t id : ids) {
        const std::string piece = stream.push(id);
        QVERIFY(ergo::is_valid_utf8(piece));
        text += piece;
        if (!(skip && tokenizer->is_special(id))) {
            bytes += tokenizer->token_bytes(id);
        }
        // Held back is only what may still become a character.
        StreamDecoder fork = stream;
        const std::string rest = fork.finish();
        QVERIFY(rest.empty() || rest == "\uFFFD");
        QVERIFY(text + rest == ergo::replace_invalid_utf8(bytes));
    }
    text += stream.finish();
    QVERIFY(text == tokenizer->decode(ids, skip));
}

} // namespace

class TestStream : public QObject {
    Q_OBJECT

    std::shared_ptr<const Tokenizer> tiny_ = Tokenizer::from_folder(folder + "tiny-chat");

  private slots:
    void everyByteSplit() {
        const std::string text = "aé→😀\u0301日 👍🏽\U0010FFFFz";
        StreamDecoder stream(tiny_, false);
        std::string streamed, bytes;
        for (const std::int32_t id : by_bytes(*tiny_, text)) {
            bytes += tiny_->token_bytes(id);
            streamed += stream.push(id);
            std::size_t whole = 0; // as far as whole characters go
            for (std::size_t at = 0; at < bytes.size(); at = whole) {
                const auto c = ergo::decode_utf8(bytes, at);
                if (!c.valid) {
                    break;
                }
                whole = at + c.length;
            }
            QVERIFY(streamed == bytes.substr(0, whole)); // neither less nor more
        }
        QVERIFY(streamed == text);
        QVERIFY(stream.finish().empty());
        // Every cut into two sequences.
        for (std::size_t cut = 0; cut <= text.size(); ++cut) {
            check_stream(tiny_, by_bytes(*tiny_, text.substr(0, cut)), false);
            check_stream(tiny_, by_bytes(*tiny_, text.substr(cut)), false);
        }
    }

    void invalidBytes() {
        for (const char* bytes :
             {"\x80", "\xC0\x80", "\xE2\x82", "\xE2\x82(", "\xF0\x9F\x98", "\xF0\x9F\x98\xF0\x9F\x98\x80",
              "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\xE2\x82\xAC", "a\xF0", "\xFF\xFE"}) {
            check_stream(tiny_, by_bytes(*tiny_, bytes), false);
        }
    }

    void randomIds() {
        std::mt19937 random(7);
        for (int round = 0; round < 300; ++round) {
            Ids ids;
            for (int i = 0; i < 40; ++i) { // bytes of high value often, ids without a token sometimes
                ids.push_back(static_cast<std::int32_t>(random() % (round % 2 ? 1020 : 256)) - 2);
            }
            check_stream(tiny_, ids, round % 3 == 0);
            if (QTest::currentTestFailed()) {
                return;
            }
        }
    }

    void startsAnewAfterFinish() {
        StreamDecoder stream(tiny_, false);
        const Ids euro = by_bytes(*tiny_, "\u20AC");
        QVERIFY(stream.push(euro[0]).empty());
        QCOMPARE(stream.finish(), std::string("\uFFFD"));
        QVERIFY(stream.finish().empty());
        std::string text;
        for (const std::int32_t id : euro) {
            text += stream.push(id);
        }
        QCOMPARE(text, std::string("\u20AC"));
    }
};

QTEST_GUILESS_MAIN(TestStream)
#include "test_stream.moc"
