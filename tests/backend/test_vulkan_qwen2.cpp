// SPDX-License-Identifier: GPL-3.0-or-later
// Whole Qwen2-class models under both laws on the software Vulkan device: the stored cases, logits and
// traces.
#include "../model/support_qwen2.h"
#include "engine/lab/trace.h"
#include "support_vulkan.h"

#include <QTemporaryDir>
#include <QtTest>

using namespace qwen2_test;

class TestVulkanQwen2 : public QObject {
    Q_OBJECT

  private slots:
    void initTestCase() {
        const int device = ergo::test::software_device();
        QVERIFY2(device >= 0, ergo::test::no_driver);
        cpu_ = ergo::make_cpu_backend(2);
        vulkan_ = ergo::make_vulkan_backend(
            device, ergo::test::validated([this](const std::string& m) { messages_.push_back(m); }));
    }

    void agree_data() {
        QTest::addColumn<int>("index");
        for (std::size_t i = 0; i < cases().size(); ++i) {
            QTest::addRow("case %d", static_cast<int>(i)) << static_cast<int>(i);
        }
    }

    void agree() {
        QFETCH(int, index);
        const auto i = static_cast<std::size_t>(index);
        const QTemporaryDir folder;
        write_case(cases()[i], folder.path().toStdString());
        const auto model = open(folder.path().toStdString(), options_of(cases()[i]));
        const auto tokens = tokens_of(i);
        for (const auto& [what, decode, chunk] :
             {std::tuple("chunks", false, 70), std::tuple("cached", true, 0)}) {
            if (decode && tokens.size() > 70) {
                continue; // slow in software
            }
            const auto got = ergo::run_logits(*model, *vulkan_, tokens, decode, {}, {}, chunk).to_doubles();
            const double error = relative(stored_rows(i, got, tokens.size()), expected(i, "logits"));
            QVERIFY2(error <= 2e-5, qPrintable(QString("%1: %2").arg(what).arg(error)));
        }
        QCOMPARE(messages_.size(), std::size_t(0));
        if (tokens.size() > 70) {
            return; // pair maps of long inputs only take time in software
        }
        const ergo::TraceRequest request{.tokens = tokens, .observe = {}};
        const auto want = ergo::run_trace(*model, *cpu_, request, {}, {});
        const auto got = ergo::run_trace(*model, *vulkan_, request, {}, {});
        for (std::size_t k = 0; k < want.size(); ++k) {
            const double error = relative(got[k].second.to_doubles(), want[k].second.to_doubles());
            QVERIFY2(error <= 1e-4, qPrintable(QString("%1: %2").arg(want[k].first.c_str()).arg(error)));
        }
        QCOMPARE(messages_.size(), std::size_t(0));
    }

  private:
    std::shared_ptr<ergo::Backend> cpu_, vulkan_;
    std::vector<std::string> messages_;
};

QTEST_GUILESS_MAIN(TestVulkanQwen2)
#include "test_vulkan_qwen2.moc"
