// SPDX-License-Identifier: GPL-3.0-or-later
// JSON beside weights, from strangers: depth, repeated members and what a tree of it would take.
#include "engine/base/error.h"
#include "engine/base/strict_json.h"

#include <QTest>

using namespace ergo;

namespace {

std::string repeat(const std::string& text, std::size_t times) {
    std::string out;
    out.reserve(text.size() * times);
    for (std::size_t i = 0; i < times; ++i) {
        out += text;
    }
    return out;
}

QString refusal(const std::string& text) {
    try {
        check_side_json(text, "config.json");
        return "none";
    } catch (const Error& error) {
        return error.what();
    }
}

} // namespace

class TestSideJson : public QObject {
    Q_OBJECT

  private slots:
    void says_where_the_mistake_is() {
        QCOMPARE(refusal(R"({"a": [1, 2.5, "x", null, true, {"b": {}}]})"), QString("none"));
        QCOMPARE(refusal("\xEF\xBB\xBF{}"), QString("none"));
        const QString mistake = refusal("{\"a\": 1,\n \"b\":}");
        QVERIFY2(mistake.startsWith("F-JSON: config.json: ") && mistake.contains("line 2, column 6"),
                 qPrintable(mistake));
        for (const char* wrong : {"", "{", "{} x", "[1,]", "{\"a\": NaN}", "{'a': 1}", "\"\xff\""}) {
            QVERIFY2(refusal(wrong).startsWith("F-JSON"), wrong);
            QVERIFY(!is_sound_json(wrong));
        }
    }

    void goes_no_deeper_than_64() {
        QCOMPARE(refusal(repeat("[", 64) + repeat("]", 64)), QString("none"));
        QVERIFY(refusal(repeat("[", 65) + repeat("]", 65)).contains("64 deep"));
        QVERIFY(refusal(repeat("[", 30'000'000)).contains("64 deep")); // as a tree: 2 GB, and seconds to undo
        QVERIFY(refusal(repeat("{\"a\":", 65)).contains("64 deep"));
    }

    void a_tree_takes_no_more_than_its_text_justifies() {
        for (const char* value : {"1,", "[],", "{},", "\"\","}) {
            const QString text = refusal("[" + repeat(value, 6'000'000) + "1]");
            QVERIFY2(text.startsWith("F-TOO-LARGE: config.json: "), qPrintable(text));
        }
        QCOMPARE(refusal("[" + repeat("1,", 100'000) + "1]"), QString("none"));
        QCOMPARE(refusal("\"" + repeat("x", 20'000'000) + "\""), QString("none")); // one text of its own size
        std::string many = "{";
        for (int i = 0; i < 20'001; ++i) {
            many += (i ? ",\"" : "\"") + std::to_string(i) + "\":0";
        }
        QVERIFY(refusal(many + "}").contains("more than 20000 members"));
        check_large_json(many + "}", "vocab.json", 1 << 24);
    }

    void members_that_occur_twice_are_told() {
        std::vector<std::string> repeated;
        check_side_json(R"({"a": 1, "b": {"c": 1, "c": 2, "\u0063": 3}, "a": 2, "d": 0})", "config.json",
                        &repeated);
        QCOMPARE(repeated, (std::vector<std::string>{"a", "c"}));
        check_side_json(R"({"a": 1, "b": {"a": 1}})", "config.json", &repeated);
        QCOMPARE(repeated.size(), 2u);
    }
};

QTEST_GUILESS_MAIN(TestSideJson)
#include "test_side_json.moc"
