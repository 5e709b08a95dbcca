// SPDX-License-Identifier: GPL-3.0-or-later
// Whole Kotodama models on the software Vulkan device: the reference's configurations, whole, chunked and
// token by token, and every observable against the CPU's.
#include "../model/support_kotodama.h"
#include "engine/lab/trace.h"
#include "support_vulkan.h"

#include <QTemporaryDir>
#include <QtTest>

using namespace kotodama_test;

class TestVulkanKotodama : public QObject {
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
        write(folder.path().toStdString(), weights_of(cases()[i]["config"]));
        const auto model = ergo::open_model(ergo::Checkpoint::open(folder.path().toStdString()), {});
        const auto tokens = tokens_of(i);
        const auto want = expected(i, "logits");
        // Token by token is slow on a software device: long inputs are decoded by the other cases' lengths.
        for (const auto& [what, decode, chunk] :
             {std::tuple("one pass", false, 0), std::tuple("chunks", false, 7),
              std::tuple("cached", true, 0)}) {
            if (decode && tokens.size() > 64) {
                continue;
            }
            const auto all = ergo::run_logits(*model, *vulkan_, tokens, decode, {}, {}, chunk).to_doubles();
            const double error = relative(pick(all, rows_of(i), tokens.size()), want);
            logits_ = std::max(logits_, error);
            QVERIFY2(error <= 2e-4, qPrintable(QString("%1: %2").arg(what).arg(error)));
        }
        compare_traces(*model, tokens);
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
    void compare_traces(const ergo::Model& model, const std::vector<std::int32_t>& tokens) {
        const ergo::TraceRequest request{.tokens = tokens, .observe = {"*"}};
        const auto want = ergo::run_trace(model, *cpu_, request, {}, {});
        const auto got = ergo::run_trace(model, *vulkan_, request, {}, {});
        QCOMPARE(got.size(), want.size());
        for (std::size_t k = 0; k < want.size(); ++k) {
            QCOMPARE(got[k].first, want[k].first);
            if (want[k].first.ends_with(".top_keys")) {
                continue; // keys of nearly equal weights may change places; their weights are compared
            }
            const double error = relative(got[k].second.to_doubles(), want[k].second.to_doubles());
            if (error > trace_) {
                trace_ = error;
                trace_name_ = want[k].first;
            }
            QVERIFY2(error <= 1e-3, qPrintable(QString("%1: %2").arg(want[k].first.c_str()).arg(error)));
        }
    }

    int device_ = -1;
    std::shared_ptr<ergo::Backend> cpu_, vulkan_;
    std::vector<std::string> messages_;
    double logits_ = 0, trace_ = 0;
    std::string trace_name_;
};

QTEST_GUILESS_MAIN(TestVulkanKotodama)
#include "test_vulkan_kotodama.moc"
