// SPDX-License-Identifier: GPL-3.0-or-later
// Logits of the reference's configurations: one pass, chunks of 7 and token by token, on both CPU paths; and
// the golden values that the specification prints.
#include "engine/backend/reference/reference_backend.h"
#include "engine/lab/trace.h"
#include "support_kotodama.h"

#include <QTemporaryDir>
#include <QTest>

using namespace kotodama_test;

class TestKotodamaLogits : public QObject {
    Q_OBJECT

  private slots:
    void golden();
    void agree_data();
    void agree();
    void thread_counts();
};

/// Kotodama specification appendix B, number by number.
void TestKotodamaLogits::golden() {
    const QTemporaryDir folder;
    const auto made = weights_of(cases()[0]["config"]);
    const auto start_of = [&](const std::string& wanted) {
        for (const auto& [name, tensor] : made.tensors) {
            if (name == wanted) {
                return tensor.to_floats();
            }
        }
        return std::vector<float>(3, NAN);
    };
    const auto embedding = start_of("embed_tokens.weight");
    const auto query = start_of("layers.1.attn.q_proj.weight");
    QCOMPARE(std::vector<float>(embedding.begin(), embedding.begin() + 3),
             (std::vector<float>{-0.21534738f, 0.16624066f, -0.027758867f}));
    QCOMPARE(std::vector<float>(query.begin(), query.begin() + 3),
             (std::vector<float>{0.19090937f, -0.1572261f, -0.2126178f}));
    const std::vector<std::int32_t> tokens{20, 0, 16, 1,  48, 38, 75, 63, 70, 27, 55, 65,
                                           85, 6, 68, 22, 77, 25, 60, 5,  3,  76, 35, 80};
    QCOMPARE(tokens_of(0), tokens);

    write(folder.path().toStdString(), made);
    const auto model = ergo::open_model(ergo::Checkpoint::open(folder.path().toStdString()), {});
    const auto backend = ergo::make_cpu_backend(2);
    const auto logits = ergo::run_logits(*model, *backend, tokens, false, {}, {}).to_doubles();
    const std::map<int, std::vector<double>> rows{
        {0, {-2.062648661, -2.469896168, +0.144134580, -0.482478997}},
        {1, {+7.635841660, +2.976057006, +1.016763868, -3.261208119}},
        {23, {+5.649301195, +0.724768995, -3.699997570, +0.354480968}}};
    double largest = 0, sum = 0, squares = 0;
    for (const double x : logits) {
        largest = std::max(largest, std::abs(x));
        sum += x;
        squares += x * x;
    }
    for (const auto& [t, values] : rows) {
        for (std::size_t c = 0; c < values.size(); ++c) {
            QVERIFY(std::abs(logits[static_cast<std::size_t>(t) * 97 + c] - values[c]) < 1e-5 * largest);
        }
    }
    QVERIFY(std::abs(sum - 170.779858) < 1e-3 && std::abs(squares - 14481.182213) < 0.05);
    const std::vector<std::ptrdiff_t> best{63, 0,  17, 11, 48, 48, 44, 26, 28, 62, 88, 48,
                                           0,  15, 41, 28, 44, 60, 41, 41, 28, 37, 34, 30};
    for (std::size_t t = 0; t < best.size(); ++t) {
        const auto row = logits.begin() + static_cast<std::ptrdiff_t>(t * 97);
        QCOMPARE(std::max_element(row, row + 97) - row, best[t]);
    }
    const ergo::TraceRequest request{.tokens = tokens, .observe = {"final.res.depth"}};
    const auto depth = ergo::run_trace(*model, *backend, request, {}, {}).back().second.to_doubles();
    const std::vector<double> last(depth.end() - 4, depth.end());
    QVERIFY(relative(last, {0.034954733, 0.044308914, 0.905137889, 0.015598465}) < 1e-5);
}

void TestKotodamaLogits::agree_data() {
    QTest::addColumn<int>("index");
    for (std::size_t i = 0; i < cases().size(); ++i) {
        QTest::newRow(cases()[i]["label"].get<std::string>().c_str()) << static_cast<int>(i);
    }
}

void TestKotodamaLogits::agree() {
    QFETCH(int, index);
    const auto i = static_cast<std::size_t>(index);
    const QTemporaryDir folder;
    const auto made = weights_of(cases()[i]["config"]);
    const auto sums = expected(i, "weight_sums");
    QCOMPARE(made.tensors.size(), sums.size());
    for (std::size_t t = 0; t < sums.size(); ++t) {
        double sum = 0;
        for (const float value : made.tensors[t].second.to_floats()) {
            sum += value;
        }
        QVERIFY2(std::abs(sum - sums[t]) <= 1e-5 * std::max(1.0, std::abs(sums[t])),
                 made.tensors[t].first.c_str());
    }
    write(folder.path().toStdString(), made);
    const auto model = ergo::open_model(ergo::Checkpoint::open(folder.path().toStdString()), {});
    const auto tokens = tokens_of(i);
    const auto want = expected(i, "logits");
    const std::pair<const char*, std::shared_ptr<ergo::Backend>> backends[] = {
        {"reference", ergo::make_reference_backend()}, {"cpu", ergo::make_cpu_backend(2)}};
    for (const auto& [name, backend] : backends) {
        for (const auto& [what, decode, chunk] :
             {std::tuple("one pass", false, 0), std::tuple("chunks", false, 7),
              std::tuple("cached", true, 0)}) {
            const auto all = ergo::run_logits(*model, *backend, tokens, decode, {}, {}, chunk).to_doubles();
            const double error = relative(pick(all, rows_of(i), tokens.size()), want);
            qInfo("%s, %s: %.1e", name, what, error);
            QVERIFY2(error <= 2e-4, qPrintable(QString("%1, %2: %3").arg(name, what).arg(error)));
        }
    }
}

/// Work is split over outputs, never over sums: the same bits whatever the number of threads.
void TestKotodamaLogits::thread_counts() {
    const QTemporaryDir folder;
    write(folder.path().toStdString(), weights_of(cases()[7]["config"]));
    const auto model = ergo::open_model(ergo::Checkpoint::open(folder.path().toStdString()), {});
    const auto tokens = tokens_of(7);
    const auto one = ergo::run_logits(*model, *ergo::make_cpu_backend(1), tokens, false, {}, {}, 64);
    for (const int threads : {2, 3, 5}) {
        const auto many =
            ergo::run_logits(*model, *ergo::make_cpu_backend(threads), tokens, false, {}, {}, 64);
        QVERIFY(many.data == one.data);
    }
}

QTEST_GUILESS_MAIN(TestKotodamaLogits)
#include "test_kotodama_logits.moc"
