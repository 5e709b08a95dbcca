// SPDX-License-Identifier: GPL-3.0-or-later
// Encoding takes time in proportion to the text, whatever the text. CPU time of this thread is compared, so
// that a busy machine does not matter.
#include "engine/tokenizer/tokenizer.h"

#include <QtTest>

#include <ctime>
#include <fstream>

using ergo::Tokenizer;

namespace {

const std::string folder = std::string(ERGO_TEST_DATA) + "/tokenizers/";

double seconds_for(const Tokenizer& tokenizer, const std::string& text) {
    double best = 1e9;
    for (int round = 0; round < 3; ++round) {
        timespec begin{}, end{};
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
        const auto ids = tokenizer.encode(text);
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
        best = std::min(best, static_cast<double>(end.tv_sec - begin.tv_sec) +
                                  1e-9 * static_cast<double>(end.tv_nsec - begin.tv_nsec));
    }
    return best;
}

std::string repeated(const std::string& what, std::size_t bytes) {
    std::string out;
    while (out.size() < bytes) {
        out += what;
    }
    return out;
}

} // namespace

class TestSpeed : public QObject {
    Q_OBJECT

    std::shared_ptr<const Tokenizer> gpt2_ = Tokenizer::from_folder(folder + "gpt2");
    std::shared_ptr<const Tokenizer> tiny_ = Tokenizer::from_folder(folder + "tiny-chat");

  private slots:
    void linear_data() {
        QTest::addColumn<QString>("what");
        for (const char* what : {"a", "ab", " ", "\n", "<|endoftext|", "<|", "<think>", "x\u0301",
                                 "\u65e5\u672c", "7", "'", "\U0001f44d", "the ", "e\u0301\u0327"}) {
            QTest::newRow(what) << QString::fromUtf8(what);
        }
    }

    void linear() {
        QFETCH(QString, what);
        for (const auto& tokenizer : {gpt2_, tiny_}) {
            const double small = seconds_for(*tokenizer, repeated(what.toStdString(), 250'000));
            const double large = seconds_for(*tokenizer, repeated(what.toStdString(), 1'000'000));
            QVERIFY2(large <
                         9 * small + 0.01, // four times the text; sixteen times the work would be quadratic
                     qPrintable(QString("%1 s for 250 kB, %2 s for 1 MB").arg(small).arg(large)));
        }
    }

    void english() {
        // words of many lengths in a fixed order, with the commonest most often
        static constexpr const char* words[] = {
            "the",      "of",          "and",          "to",         "in",           "a",        "is",
            "that",     "for",         "it",           "as",         "was",          "with",     "be",
            "by",       "on",          "not",          "he",         "his",          "but",      "at",
            "are",      "this",        "have",         "from",       "which",        "geometry", "attention",
            "distance", "distances",   "Minkowski",    "curvature",  "weights",      "measured", "however",
            "towards",  "interesting", "particularly", "unfamiliar", "nevertheless", "don't",    "it's",
            "1995",     "3.14"};
        std::string text;
        std::uint32_t seed = 1;
        while (text.size() < 2'000'000) {
            seed = seed * 1664525u + 1013904223u;
            const double u = static_cast<double>(seed >> 8) / (1 << 24);
            text += words[static_cast<std::size_t>(u * u * std::size(words))];
            text += seed % 17 == 0 ? ". " : seed % 11 == 0 ? ", " : seed % 97 == 0 ? "\n\n" : " ";
        }
        const double rate = static_cast<double>(text.size()) / 1e6 / seconds_for(*gpt2_, text);
        qInfo("%.1f MB of English a second of CPU time", rate);
        QVERIFY(rate > 2); // what is asked for is 10 on a core of one's own
    }
};

QTEST_GUILESS_MAIN(TestSpeed)
#include "test_speed.moc"
