// SPDX-License-Identifier: GPL-3.0-or-later
// Logits of the reference's self-check configurations: one pass, chunks of 7 and token by token, on both CPU
// paths.
#include "engine/backend/reference/reference_backend.h"
#include "engine/lab/trace.h"
#include "support_moa.h"

#include <QTemporaryDir>
#include <QTest>

using namespace moa_test;

class TestMoaLogits : public QObject {
    Q_OBJECT

  private slots:
    void agree_data();
    void agree();
};

void TestMoaLogits::agree_data() {
    QTest::addColumn<int>("index");
    for (std::size_t i = 0; i < cases().size(); ++i) {
        QTest::newRow(cases()[i]["label"].get<std::string>().c_str()) << static_cast<int>(i);
    }
}

void TestMoaLogits::agree() {
    QFETCH(int, index);
    const auto i = static_cast<std::size_t>(index);
    const auto expected = ergo::read_npz(data("logits.npz"));
    const QTemporaryDir folder;
    ergo::synth(request_for(cases()[i]), folder.path().toStdString());
    const auto checkpoint = ergo::Checkpoint::open(folder.path().toStdString());

    // The generator's weights are the reference's: compare a sum of every tensor.
    const auto sums = expected.at(numbered("case", i, ".weight_sums")).to_doubles();
    QCOMPARE(checkpoint->order().size(), sums.size());
    for (std::size_t t = 0; t < sums.size(); ++t) {
        double sum = 0;
        for (const float value : checkpoint->tensor(checkpoint->order()[t]).to_floats()) {
            sum += value;
        }
        QVERIFY2(std::abs(sum - sums[t]) <= 1e-6 * std::max(1.0, std::abs(sums[t])),
                 checkpoint->order()[t].c_str());
    }

    const auto model = ergo::open_model(checkpoint, {});
    const auto tokens = ints(expected.at(numbered("case", i, ".tokens")));
    const auto want = expected.at(numbered("case", i, ".logits")).to_doubles();
    const std::pair<const char*, std::shared_ptr<ergo::Backend>> backends[] = {
        {"reference", ergo::make_reference_backend()}, {"cpu", ergo::make_cpu_backend(2)}};
    for (const auto& [name, backend] : backends) {
        for (const auto& [what, decode, chunk] :
             {std::tuple("one pass", false, 0), std::tuple("chunks", false, 7),
              std::tuple("cached", true, 0)}) {
            const auto got = ergo::run_logits(*model, *backend, tokens, decode, {}, {}, chunk).to_doubles();
            const double error = compare(got, want).relative();
            qInfo("%s, %s: %.1e", name, what, error);
            QVERIFY2(error <= 2e-4, qPrintable(QString("%1, %2: %3").arg(name, what).arg(error)));
        }
    }
}

QTEST_GUILESS_MAIN(TestMoaLogits)
#include "test_moa_logits.moc"
