// SPDX-License-Identifier: GPL-3.0-or-later
// The merging itself, against the plain definition; and that no text takes more than near-linear time.
#include "engine/tokenizer/bpe.h"
#include "engine/tokenizer/tokenizer.h"

#include <QtTest>

#include <nlohmann/json.hpp>

#include <ctime>
#include <fstream>
#include <map>
#include <random>
#include <thread>

using namespace ergo;

namespace {

using Ids = std::vector<std::int32_t>;

const std::string folder = std::string(ERGO_TEST_DATA) + "/tokenizers/";

// A random model over "abc" whose tokens are all strings that some merge can make.
struct RandomModel {
    explicit RandomModel(std::mt19937& random) : bpe(make_vocabulary(random, merges), {}) {
        for (const auto& [left, right] : merges) {
            if (bpe.add_merge(left, right) != BpeModel::Merge::ok) {
                throw std::logic_error("a merge of unknown tokens");
            }
        }
    }

    static Vocabulary make_vocabulary(std::mt19937& random,
                                      std::vector<std::pair<std::string, std::string>>& merges) {
        std::vector<std::string> tokens = {"a", "b", "c"};
        while (tokens.size() < 40) {
            const std::string left = tokens[random() % tokens.size()],
                              right = tokens[random() % tokens.size()];
            merges.emplace_back(left, right);
            if (std::find(tokens.begin(), tokens.end(), left + right) == tokens.end()) {
                tokens.push_back(left + right);
            }
        }
        Vocabulary vocabulary;
        for (std::size_t i = 0; i < tokens.size(); ++i) {
            vocabulary.add(tokens[i], static_cast<std::int32_t>(i * 3)); // ids with gaps
        }
        return vocabulary;
    }

    // The definition: again and again the pair of lowest rank, leftmost on ties. Of two equal merges the
    // later counts.
    Ids define(const std::string& word) const {
        std::map<std::pair<std::string, std::string>, std::size_t> rank;
        for (std::size_t i = 0; i < merges.size(); ++i) {
            rank[merges[i]] = i;
        }
        std::vector<std::string> parts;
        for (const char c : word) {
            parts.emplace_back(1, c);
        }
        for (;;) {
            std::size_t best = merges.size(), at = 0;
            for (std::size_t i = 0; i + 1 < parts.size(); ++i) {
                const auto found = rank.find({parts[i], parts[i + 1]});
                if (found != rank.end() && found->second < best) {
                    best = found->second;
                    at = i;
                }
            }
            if (best == merges.size()) {
                break;
            }
            parts[at] += parts[at + 1];
            parts.erase(parts.begin() + static_cast<std::ptrdiff_t>(at) + 1);
        }
        Ids ids;
        for (const std::string& part : parts) {
            ids.push_back(*bpe.vocabulary().find(part));
        }
        return ids;
    }

    std::vector<std::pair<std::string, std::string>> merges; // before bpe: it is made with them
    BpeModel bpe;
};

std::string random_word(std::mt19937& random, std::size_t length, const std::string& letters) {
    std::string word;
    for (std::size_t i = 0; i < length; ++i) {
        word += letters[random() % letters.size()];
    }
    return word;
}

} // namespace

class TestBpe : public QObject {
    Q_OBJECT

    std::shared_ptr<const Tokenizer> gpt2_ = Tokenizer::from_folder(folder + "gpt2");

  private slots:
    void asDefined() {
        std::mt19937 random(11);
        for (int round = 0; round < 60; ++round) {
            const RandomModel model(random);
            BpeWork work;
            for (const std::size_t length : {1, 2, 3, 7, 31, 32, 33, 34, 64, 65, 150}) {
                const std::string word = random_word(random, length, "abc");
                const Ids expected = model.define(word);
                for (int again = 0; again < 2; ++again) { // the second time from the cache
                    Ids ids = {-7};
                    model.bpe.encode_word(word, false, work, ids);
                    QCOMPARE(ids.front(), -7); // appended, not replaced
                    ids.erase(ids.begin());
                    QVERIFY2(ids == expected, word.c_str());
                }
            }
        }
    }

    void unknownCharactersAreDropped() {
        Vocabulary vocabulary;
        vocabulary.add("a", 0);
        vocabulary.add("aa", 1);
        BpeModel model(std::move(vocabulary), {});
        QVERIFY(model.add_merge("a", "a") == BpeModel::Merge::ok);
        QVERIFY(model.add_merge("a", "b") == BpeModel::Merge::right_unknown);
        QVERIFY(model.add_merge("b", "a") == BpeModel::Merge::left_unknown);
        QVERIFY(model.add_merge("aa", "a") == BpeModel::Merge::result_unknown);
        BpeWork work;
        Ids ids;
        model.encode_word("axya", false, work, ids); // the neighbours of what is dropped may merge
        QVERIFY(ids == Ids{1});
        model.encode_word("xyz", false, work, ids);
        model.encode_word("xyz", false, work, ids);
        QVERIFY(ids == Ids{1});
    }

    void vocabulary() {
        Vocabulary vocabulary;
        QVERIFY(!vocabulary.find("a") && vocabulary.size() == 0);
        for (std::int32_t id = 0; id < 5000; ++id) {
            QVERIFY(vocabulary.add(std::to_string(id), 7 * id + 5) == Vocabulary::Added::yes);
        }
        QVERIFY(vocabulary.add("17", 1) == Vocabulary::Added::text_taken);
        QVERIFY(vocabulary.add("x", 7 * 17 + 5) == Vocabulary::Added::id_taken);
        QVERIFY(!vocabulary.find("x") && !vocabulary.has(1));
        QCOMPARE(vocabulary.count(), std::size_t{5000});
        QCOMPARE(vocabulary.size(), 7 * 4999 + 6);
        for (std::int32_t id = 0; id < 5000; ++id) {
            QCOMPARE(vocabulary.find(std::to_string(id)).value_or(-1), 7 * id + 5);
            QVERIFY(vocabulary.text(7 * id + 5) == std::to_string(id));
        }
    }

    // A quadratic step takes minutes or hours on these; the bound is only there to tell.
    void nearLinearTime_data() {
        std::mt19937 random(5);
        constexpr std::size_t million = 1'000'000;
        QTest::addColumn<QByteArray>("text");
        const auto add = [](const char* name, const std::string& text) {
            QTest::newRow(name) << QByteArray::fromStdString(text);
        };
        const auto repeat = [](const std::string& unit, std::size_t bytes) {
            std::string text;
            while (text.size() < bytes) {
                text += unit;
            }
            return text;
        };
        add("one letter", std::string(million, 'a'));
        add("random letters", random_word(random, million, "abcdefghijklmnopqrstuvwxyz"));
        add("spaces, then a letter", std::string(million, ' ') + 'x');
        add("line ends", repeat(" \n", million) + 'x');
        add("marks", 'a' + repeat("\u0301\u0323", million));
        add("digits", repeat("1234567890", million));
        add("beginnings of added tokens", repeat("<|tool cal", million));
        add("spaces before added tokens", repeat("   \u2003 <mask>", million));
        add("young letters", repeat("\U00031350\U0001E4D0", million));
    }

    void nearLinearTime() {
        QFETCH(QByteArray, text);
        const std::string bytes = text.toStdString();
        // And one with NFC, many added tokens and a pattern that goes back over white space.
        std::ifstream base(folder + "tiny-chat/tokenizer.json"), lines(folder + "pipelines/cases.jsonl");
        auto file = nlohmann::json::parse(base);
        std::string line;
        QVERIFY(bool(std::getline(lines, line)));
        const auto qwen2 = nlohmann::json::parse(line);
        QCOMPARE(qwen2.at("name").get<std::string>(), std::string("qwen2"));
        file.merge_patch(qwen2.at("patch"));
        const auto other = Tokenizer::from_json(file.dump(), "", "tokenizer.json");
        const std::clock_t start = std::clock(); // the processor's time: the machine may be busy
        const Ids ids = gpt2_->encode(bytes);
        QVERIFY(gpt2_->decode(ids) == bytes);
        QVERIFY(!other->encode(bytes).empty());
        const double seconds = static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
        QVERIFY2(seconds < 60, qPrintable(QString::number(seconds) + " s"));
    }

    void threadsShareATokenizer() {
        std::mt19937 random(3);
        std::string text;
        for (int i = 0; i < 3000; ++i) {
            text += random_word(random, 1 + random() % 9, "etaoin shrdlu.") + (i % 7 ? " " : "日本\n");
        }
        const Ids expected = gpt2_->encode(text);
        std::vector<Ids> results(4);
        std::vector<std::thread> threads;
        for (Ids& result : results) {
            threads.emplace_back([&] { result = gpt2_->encode(text); });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        for (const Ids& result : results) {
            QVERIFY(result == expected);
        }
        QVERIFY(gpt2_->decode(expected) == text);
    }
};

QTEST_GUILESS_MAIN(TestBpe)
#include "test_bpe.moc"
