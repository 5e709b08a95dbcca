// SPDX-License-Identifier: GPL-3.0-or-later
// Kotodama as it is published: PyTorch files of bfloat16 tensors, bare, under the trainer's wrapper with prefixed
// names, and compressed. All open to the same model, which computes the reference's logits.
#include "engine/lab/trace.h"
#include "support_kotodama.h"

#include <QTest>

using namespace kotodama_test;

class TestKotodamaContainer : public QObject {
    Q_OBJECT

  private slots:
    void opens_data() {
        QTest::addColumn<QString>("file");
        for (const char* name : {"bare.pt", "trainer.pt", "bare.pt.zst"}) {
            QTest::newRow(name) << name;
        }
    }

    void opens() {
        QFETCH(QString, file);
        const auto checkpoint = ergo::Checkpoint::open(data("container") / file.toStdString());
        QCOMPARE(checkpoint->order().size(), std::size_t{49}); // 4 around the stack, 15 a layer
        const auto model = ergo::open_model(checkpoint, {});
        QCOMPARE(model->info().family, std::string("kotodama"));
        QCOMPARE(model->info().dtype, std::string("bf16"));
        QCOMPARE(model->info().settings.at("num_layers"), std::string("3"));
        QCOMPARE(model->info().settings.at("attn_res_boundaries"), std::string("0, 2"));
        const auto tokens =
            Json::parse(std::ifstream(data("container") / "tokens.json")).get<std::vector<std::int32_t>>();
        const auto want = ergo::read_npy(data("container") / "logits.npy").to_doubles();
        const auto backend = ergo::make_cpu_backend(2);
        for (const bool decode : {false, true}) {
            const auto got = ergo::run_logits(*model, *backend, tokens, decode, {}, {}).to_doubles();
            QVERIFY(relative(got, want) <= 2e-4);
        }
    }
};

QTEST_GUILESS_MAIN(TestKotodamaContainer)
#include "test_kotodama_container.moc"
