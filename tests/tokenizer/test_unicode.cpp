// SPDX-License-Identifier: GPL-3.0-or-later
// Character properties, NFC, the byte alphabet and the translation of patterns.
#include "engine/base/utf8.h"
#include "engine/tokenizer/byte_alphabet.h"
#include "engine/tokenizer/normalizer.h"
#include "engine/tokenizer/regex.h"
#include "engine/tokenizer/regex_syntax.h"
#include "engine/tokenizer/unicode_properties.h"

#include <QtTest>

#include <set>

using namespace ergo;

namespace {

Normalizer nfc_normalizer() {
    return Normalizer({ergo::FormStep{ergo::UnicodeForm::nfc}});
}

std::string to_nfc(const std::string& text) {
    return nfc_normalizer().apply(text);
}

bool is_scalar(char32_t c) {
    return c < 0xD800 || c > 0xDFFF;
}

std::string utf8(char32_t c) {
    std::string out;
    append_utf8(out, c);
    return out;
}

// The characters that `pattern`, which matches one at a time, matches.
std::set<char32_t> matched_characters(const std::string& pattern) {
    std::string text;
    for (char32_t c = 0; c < 0x110000; ++c) {
        if (is_scalar(c)) {
            append_utf8(text, c);
        }
    }
    const std::string shown = with_stand_ins(text);
    const Regex regex(translate_regex(pattern));
    RegexMatcher matcher(regex);
    matcher.start(shown);
    std::set<char32_t> found;
    while (const auto match = matcher.next()) {
        found.insert(decode_utf8(text, match->begin).code_point);
    }
    return found;
}

QStringList pieces(const std::string& pattern, const std::string& text) {
    const Regex regex(translate_regex(pattern));
    RegexMatcher matcher(regex);
    matcher.start(text);
    QStringList out;
    while (const auto match = matcher.next()) {
        out << QString::fromStdString(text.substr(match->begin, match->end - match->begin));
    }
    return out;
}

} // namespace

class TestUnicode : public QObject {
    Q_OBJECT

  private slots:
    void properties() {
        std::set<char32_t> space, number;
        for (char32_t c = 0; c < 0x110000; ++c) {
            if (is_white_space(c)) {
                space.insert(c);
            }
            if (is_scalar(c) && is_number(c)) {
                number.insert(c);
            }
        }
        QCOMPARE(space.size(), std::size_t{25});
        for (const char32_t c : {0x1C, 0x1D, 0x1E, 0x1F, 0x200B, 0x180E, 0xFEFF}) {
            QVERIFY(!space.contains(c));
        }
        QCOMPARE(number.size(), std::size_t{1911}); // Unicode 16: Nd 760, Nl 236, No 915
        QVERIFY(matched_characters("\\s") == space);
        QVERIFY(matched_characters("[\\s]") == space);
        QVERIFY(matched_characters("[^\\S]") == space);
        QVERIFY(matched_characters("\\p{N}") == number);
        QCOMPARE(matched_characters("\\d").size(), std::size_t{760});
        QCOMPARE(matched_characters("\\p{Lu}").size(), std::size_t{1858});
        QCOMPARE(matched_characters("[^\\n]").size(), std::size_t{0x110000 - 0x800 - 1});
        QVERIFY(matched_characters(".") == matched_characters("[^\\n]"));
        QVERIFY(is_word_character('_') && is_word_character(0xE9) && is_word_character(0x301) &&
                is_word_character(0x200D) && is_word_character(0x24D0) && is_word_character(0x31350));
        QVERIFY(!is_word_character('-') && !is_word_character(0xBD) && !is_word_character(0x3000));
    }

    void standInsKeepTheLength() {
        int young = 0;
        for (char32_t c = 0; c < 0x110000; ++c) {
            if (!is_scalar(c)) {
                continue;
            }
            const std::string text = utf8(c);
            const std::string shown = with_stand_ins(text);
            QCOMPARE(shown.size(), text.size());
            QCOMPARE(has_young_character("a" + text), shown != text);
            young += shown != text;
        }
        QCOMPARE(young, 10302); // assigned since Unicode 14, and U+1171E
    }

    void nfc() {
        const auto same = [](const std::string& text) { return to_nfc(text) == text; };
        QCOMPARE(to_nfc("e\u0301"), std::string("\u00E9"));
        QCOMPARE(to_nfc("\u212B"), std::string("\u00C5"));
        QCOMPARE(to_nfc("q\u0307\u0323"), std::string("q\u0323\u0307"));
        QCOMPARE(to_nfc("\u1100\u1161\u11A8"), std::string("\uAC01"));
        QCOMPARE(to_nfc("\uAC00\u11A8x"), std::string("\uAC01x"));
        QCOMPARE(to_nfc("\u0958"), std::string("\u0915\u093C")); // a composition exclusion
        QVERIFY(same("") && same("plain") && same("日本語") && same(std::string("a\0b", 3)));
        // Younger than the reference's Unicode: nothing composes, nothing moves.
        QVERIFY(same("\U00011935\U00011930") && same("\U00011938") && same("a\u1DFA\u0334"));
        QVERIFY(!nfc_normalizer().leaves_alone("e\u0301") && nfc_normalizer().leaves_alone("caf\u00E9"));
        QVERIFY(Normalizer().leaves_alone("e\u0301"));
    }

    void nfcOfNfcIsItself() {
        std::uint32_t state = 9;
        const char32_t alphabet[] = {'a',    'E',   0x301,  0x323, 0x30A, 0x1100,  0x1161,  0x11A8,  0xAC00,
                                     0x212B, 0x344, 0x1DFA, 0x9C7, 0x9BE, 0x11935, 0x11930, 0x1D15E, 0xF73};
        for (int round = 0; round < 3000; ++round) {
            std::string text;
            for (int i = 0; i < 8; ++i) {
                state = state * 1664525u + 1013904223u;
                append_utf8(text, alphabet[(state >> 10) % std::size(alphabet)]);
            }
            const std::string once = to_nfc(text);
            QVERIFY(to_nfc(once) == once);
        }
    }

    void byteAlphabet() {
        std::set<char32_t> characters;
        for (int byte = 0; byte < 256; ++byte) {
            const char32_t c = byte_to_character(static_cast<std::uint8_t>(byte));
            characters.insert(c);
            QCOMPARE(int(character_to_byte(c).value()), byte);
        }
        QCOMPARE(characters.size(), std::size_t{256});
        QCOMPARE(byte_to_character(' '), char32_t{0x120});
        QCOMPARE(byte_to_character('\n'), char32_t{0x10A});
        QCOMPARE(byte_to_character(0xAD), char32_t{0x143});
        QVERIFY(!character_to_byte(' ') && !character_to_byte(0xAD) && !character_to_byte(0x144) &&
                !character_to_byte(0x10FFFF));
        QCOMPARE(bytes_to_alphabet(" é"), std::string("ĠÃ©"));
        QCOMPARE(alphabet_to_bytes("ĠÃ©").value(), std::string(" é"));
        QVERIFY(!alphabet_to_bytes("a b"));
    }

    // Where Oniguruma and PCRE2 differ.
    void patterns() {
        QCOMPARE(pieces("^.", "ab\ncd\r\nef"), (QStringList{"a", "c", "e"}));
        QCOMPARE(pieces(".$", "ab\ncd\r\nef"), (QStringList{"b", "\r", "f"}));
        QCOMPARE(pieces("\\d{1,3}+", "1234567"), (QStringList{"1234567"})); // no possessive interval
        QCOMPARE(pieces("(?:1|2){1,2}+x", "121x"), (QStringList{"121x"}));
        QCOMPARE(pieces("\\d{2}?", "12345"), (QStringList{"12", "34", ""}));
        QCOMPARE(pieces("a{,2}b", "aaab"), (QStringList{"aab"}));
        QCOMPARE(pieces("(?m:a.b)", "xa\nby"), (QStringList{"a\nb"}));
        QCOMPARE(pieces("a.b", "xa\nby"), QStringList());
        QCOMPARE(pieces("\\v", "a\x0b\x0c"), (QStringList{"\x0b"}));
        QCOMPARE(pieces("\\h+", "g12aFz"), (QStringList{"12aF"}));
        QCOMPARE(pieces("a|", "xa"), (QStringList{"", "a"}));
        QCOMPARE(pieces("[\\]a\\-]+", "x]-ay"), (QStringList{"]-a"}));
        QCOMPARE(pieces("[]a]+", "x]ay"), (QStringList{"]a"}));
        QCOMPARE(pieces("\\u0041\\x{42}\\x43", "ABC"), (QStringList{"ABC"}));
        QCOMPARE(pieces("a{x}", "a{x}"), (QStringList{"a{x}"}));
        QCOMPARE(pieces("(?i:'s)", "'S'\u017F"), (QStringList{"'S", "'\u017F"}));
        QCOMPARE(pieces("\\p{Han}", "\u65E5\u32C1"),
                 (QStringList{"\u65E5"})); // the script, not its extensions
        QCOMPARE(pieces(escape_regex("a.b|(é\n#"), "a.b|(é\n#"), (QStringList{"a.b|(é\n#"}));
    }
};

QTEST_GUILESS_MAIN(TestUnicode)
#include "test_unicode.moc"
