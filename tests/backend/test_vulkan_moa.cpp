// SPDX-License-Identifier: GPL-3.0-or-later
// Whole MoA models on the software Vulkan device: the reference's self-check configurations, their logits and
// traces. Lives with the backend because it judges the backend; the models are made by the lab's generator.
#include "../model/support_moa.h"
#include "engine/lab/trace.h"
#include "support_vulkan.h"

#include <QTemporaryDir>
#include <QtTest>

#include <random>

using namespace moa_test;

class TestVulkanMoa : public QObject {
    Q_OBJECT

  private slots:
    void initTestCase() {
        device_ = ergo::test::software_device();
        QVERIFY2(device_ >= 0, ergo::test::no_driver);
        cpu_ = ergo::make_cpu_backend(2);
        vulkan_ = ergo::make_vulkan_backend(
            device_, ergo::test::validated([this](const std::string& m) { messages_.push_back(m); }));
    }

    void agree_data() {
        QTest::addColumn<int>("index");
        for (std::size_t i = 0; i < cases().size(); ++i) {
            QTest::newRow(cases()[i]["label"].get<std::string>().c_str()) << static_cast<int>(i);
        }
    }

    void agree() {
        QFETCH(int, index);
        const auto i = static_cast<std::size_t>(index);
        const QTemporaryDir folder;
        ergo::synth(request_for(cases()[i]), folder.path().toStdString());
        const auto model = ergo::open_model(ergo::Checkpoint::open(folder.path().toStdString()), {});
        const auto expected = ergo::read_npz(data("logits.npz"));
        const auto tokens = ints(expected.at(numbered("case", i, ".tokens")));
        const auto want = expected.at(numbered("case", i, ".logits")).to_doubles();
        for (const auto& [what, decode, chunk] :
             {std::tuple("chunks", false, 7), std::tuple("cached", true, 0)}) {
            const auto got = ergo::run_logits(*model, *vulkan_, tokens, decode, {}, {}, chunk).to_doubles();
            const double error = compare(got, want).relative();
            logits_ = std::max(logits_, error);
            QVERIFY2(error <= 2e-5, qPrintable(QString("%1: %2").arg(what).arg(error)));
        }
        compare_traces(*model, tokens);
        std::mt19937 random(static_cast<std::uint32_t>(index));
        QCOMPARE(tail_difference(*model, *vulkan_, tokens, head_subscriptions(*model, random)),
                 std::string());
        QCOMPARE(messages_.size(), std::size_t(0));
    }

    void random_sizes_data() {
        QTest::addColumn<int>("index");
        const Json all = read_cases("random.json");
        for (std::size_t i = 0; i < all.size(); ++i) {
            QTest::newRow(qPrintable(QString("%1 %2").arg(i).arg(all[i]["label"].get<std::string>().c_str())))
                << static_cast<int>(i);
        }
    }

    void random_sizes() {
        QFETCH(int, index);
        const auto i = static_cast<std::size_t>(index);
        const Json each = read_cases("random.json")[i];
        const auto want = ergo::read_npz(data("random.npz")).at(three_digits(i)).to_doubles();
        const QTemporaryDir folder;
        ergo::synth(stored_request(each), folder.path().toStdString());
        const auto model = ergo::open_model(ergo::Checkpoint::open(folder.path().toStdString()), {});
        const auto tokens = each["tokens"].get<std::vector<std::int32_t>>();
        for (const auto& [what, decode, chunk] :
             {std::tuple("whole", false, 0), std::tuple("chunks", false, 31),
              std::tuple("cached", true, 0)}) {
            if (decode && tokens.size() > 70 && index != 1) { // one long cache, the context exactly full
                continue;
            }
            const auto got = ergo::run_logits(*model, *vulkan_, tokens, decode, {}, {}, chunk).to_doubles();
            const double error = compare(rows_of(got, each), want).relative();
            logits_ = std::max(logits_, error);
            QVERIFY2(error <= 2e-4, qPrintable(QString("%1: %2").arg(what).arg(error)));
        }
        QCOMPARE(messages_.size(), std::size_t(0));
    }

    void cleanupTestCase() {
        vulkan_.reset(); // destruction is validated as well
        for (const std::string& message : messages_) {
            qWarning("%s", message.c_str());
        }
        QCOMPARE(messages_.size(), std::size_t(0));
        qInfo("largest relative error of logits %.1e, of a traced array against the CPU %.1e (%s)", logits_,
              trace_, trace_name_.c_str());
    }

  private:
    /// Every observable of one pass, against the CPU's.
    void compare_traces(const ergo::Model& model, const std::vector<std::int32_t>& tokens) {
        const ergo::TraceRequest request{.tokens = tokens, .observe = {}};
        const auto want = ergo::run_trace(model, *cpu_, request, {}, {});
        const auto got = ergo::run_trace(model, *vulkan_, request, {}, {});
        QCOMPARE(got.size(), want.size());
        for (std::size_t k = 0; k < want.size(); ++k) {
            QCOMPARE(got[k].first, want[k].first);
            const double error = compare(got[k].second.to_doubles(), want[k].second.to_doubles()).relative();
            if (error > trace_) {
                trace_ = error;
                trace_name_ = want[k].first;
            }
            QVERIFY2(error <= 1e-4, qPrintable(QString("%1: %2").arg(want[k].first.c_str()).arg(error)));
        }
    }

    int device_ = -1;
    std::shared_ptr<ergo::Backend> cpu_, vulkan_;
    std::vector<std::string> messages_;
    double logits_ = 0, trace_ = 0;
    std::string trace_name_;
};

QTEST_GUILESS_MAIN(TestVulkanMoa)
#include "test_vulkan_moa.moc"
