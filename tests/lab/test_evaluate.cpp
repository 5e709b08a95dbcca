// SPDX-License-Identifier: GPL-3.0-or-later
// Perplexity over strided windows against the reference's sums, its units, words, and what is refused.
#include "../model/support_moa.h"
#include "engine/base/error.h"
#include "engine/lab/evaluate.h"

#include <QTemporaryDir>
#include <QTest>

#include <numbers>

using namespace moa_test;

namespace {

std::shared_ptr<const ergo::OpenedModel> open(std::size_t i, const QTemporaryDir& folder, int threads = 2) {
    if (!std::filesystem::exists(folder.path().toStdString() + "/model.safetensors")) {
        ergo::synth(request_for(cases()[i]), folder.path().toStdString());
    }
    ergo::OpenModelOptions options;
    options.backend = "cpu";
    options.threads = threads;
    return ergo::open_all(folder.path().toStdString(), options, {}, {});
}

std::string refusal(const ergo::OpenedModel& opened, const ergo::EvaluationRequest& request) {
    try {
        ergo::evaluate(opened, request, {}, {});
    } catch (const ergo::Error& error) {
        return error.kind() == ergo::ErrorKind::usage ? error.what() : "another kind";
    }
    return "accepted";
}

} // namespace

class TestEvaluate : public QObject {
    Q_OBJECT

  private slots:
    void agrees_with_the_reference_data() {
        QTest::addColumn<int>("index");
        const Json all = read_cases("evaluation.json");
        for (std::size_t i = 0; i < all.size(); ++i) {
            QTest::newRow(qPrintable(QString("case %1, window %2, stride %3")
                                         .arg(all[i]["case"].get<int>())
                                         .arg(all[i]["window"].get<int>())
                                         .arg(all[i]["stride"].get<int>())))
                << static_cast<int>(i);
        }
    }

    void agrees_with_the_reference() {
        QFETCH(int, index);
        const Json each = read_cases("evaluation.json")[static_cast<std::size_t>(index)];
        const QTemporaryDir folder;
        const auto opened = open(each["case"], folder);
        ergo::EvaluationRequest request;
        request.tokens = each["tokens"].get<std::vector<std::int32_t>>();
        request.window = each["window"];
        request.stride = each["stride"];
        double done = 0, total = 0;
        const auto progress = [&](double at, double of, const std::string&) {
            QVERIFY(at > done);
            done = at;
            total = of;
        };
        const auto result = ergo::evaluate(*opened, request, progress, {});
        QCOMPARE(result.tokens, each["predicted"].get<std::int64_t>());
        const double want = each["nll"];
        QVERIFY2(std::abs(result.nll - want) < 1e-5 * want,
                 qPrintable(QString("%1, not %2").arg(result.nll, 0, 'g', 12).arg(want, 0, 'g', 12)));
        QCOMPARE(done, total);
        QCOMPARE(static_cast<double>(result.rows), total);
        QCOMPARE(result.perplexity(), std::exp(result.nll / static_cast<double>(result.tokens)));
        // The same sum, bit for bit, whatever the number of threads.
        QCOMPARE(ergo::evaluate(*open(each["case"], folder, 1), request, {}, {}).nll, result.nll);
    }

    void units() {
        ergo::Evaluation half; // every token at probability 1/2
        half.tokens = 10;
        half.nll = 10 * std::numbers::ln2;
        QVERIFY(std::abs(half.perplexity() - 2) < 1e-12);
        QVERIFY(std::abs(half.word_perplexity(5) - 4) < 1e-12);
        QVERIFY(std::abs(half.bits_per_byte(40) - 0.25) < 1e-12);
        const std::vector<float> logits{0, std::log(3.0f), -INFINITY};
        QVERIFY(std::abs(ergo::negative_log_likelihood(logits, 0) - std::log(4.0)) < 1e-6);
        QVERIFY(std::isinf(ergo::negative_log_likelihood(logits, 2)));
        QVERIFY(std::isnan(ergo::negative_log_likelihood(std::vector<float>{0, NAN}, 0)));
        // The two WikiText figures of Kotodama's card belong to one nll: 5.35 bytes a word (specification
        // A.4).
        ergo::Evaluation card;
        card.nll = std::log(41.76) * 1000;
        QVERIFY(std::abs(card.word_perplexity(1000) - 41.76) < 1e-9);
        QVERIFY(std::abs(card.bits_per_byte(5346) - 1.007) < 5e-4);
    }

    void words() {
        QCOMPARE(ergo::count_words(""), 0);
        QCOMPARE(ergo::count_words(" \n\t "), 0);
        QCOMPARE(ergo::count_words("one"), 1);
        QCOMPARE(ergo::count_words("  one, two\n three \n"), 3);
        QCOMPARE(ergo::count_words("a\u00a0b\u3000c\u2028d\u200be"), 4); // a zero-width space is none
        QCOMPARE(ergo::count_words(" = Title = \n\n The <unk> .\n"), 6);
        QCOMPARE(ergo::count_words("\xff\xfe x"), 2);
    }

    void refusals() {
        const QTemporaryDir folder;
        const auto opened = open(0, folder);
        QVERIFY(refusal(*opened, {{1}, 0, 0}).find("1 tokens") != std::string::npos);
        QVERIFY(refusal(*opened, {{1, 61}, 0, 0}).find("61") != std::string::npos);
        QVERIFY(refusal(*opened, {{1, -2}, 0, 0}).find("-2") != std::string::npos);
        QVERIFY(refusal(*opened, {{1, 2}, 66, 0}).find("65") != std::string::npos);
        QVERIFY(refusal(*opened, {{1, 2}, 1, 0}).find("window of 1") != std::string::npos);
        QVERIFY(refusal(*opened, {{1, 2}, 8, 9}).find("stride of 9") != std::string::npos);
        QCOMPARE(ergo::evaluate(*opened, {std::vector<std::int32_t>(200, 3), 65, 65}, {}, {}).tokens, 196);
        ergo::CancelToken cancel;
        const auto stop = [&](double, double, const std::string&) { cancel.cancel(); };
        try {
            ergo::evaluate(*opened, {std::vector<std::int32_t>(200, 3), 16, 8}, stop, cancel);
            QFAIL("it was not cancelled");
        } catch (const ergo::Error& error) {
            QCOMPARE(error.kind(), ergo::ErrorKind::cancelled);
        }
    }
};

QTEST_GUILESS_MAIN(TestEvaluate)
#include "test_evaluate.moc"
