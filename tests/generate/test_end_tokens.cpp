// SPDX-License-Identifier: GPL-3.0-or-later
// Where a text ends: the union of what the files of a checkpoint say.
#include "engine/checkpoint/safetensors.h"
#include "engine/generate/end_tokens.h"
#include "engine/generate/opened_model.h"

#include <QTemporaryDir>
#include <QTest>

#include <fstream>

using namespace ergo;

class TestEndTokens : public QObject {
    Q_OBJECT

  private slots:
    void union_of_files() {
        const QTemporaryDir root;
        const std::filesystem::path folder = root.path().toStdString();
        write_safetensors(folder / "model.safetensors", {{"a", Tensor::from_floats({1}, {1})}});
        const auto ends = [&](const char* config, const char* generation) {
            std::ofstream(folder / "config.json") << config;
            std::ofstream(folder / "generation_config.json") << generation;
            return end_tokens(*Checkpoint::open(folder), nullptr);
        };
        using Ids = std::vector<std::int32_t>;
        QCOMPARE(ends(R"({"eos_token_id": 151643})", R"({"eos_token_id": [151645, 151643]})"),
                 (Ids{151643, 151645}));
        QCOMPARE(ends(R"({"eos_token_id": 7})", "{}"), Ids{7});
        QCOMPARE(ends(R"({"eos_token_id": null})", R"({"eos_token_id": [-1, "x", 1e99, 3, 99999999999]})"),
                 Ids{3});
        QCOMPARE(ends("not JSON", "[1, 2]"), Ids{});
    }

    void with_a_tokenizer() {
        const auto checkpoint = open_checkpoint("demo:moa");
        const auto tokenizer = open_tokenizer(*checkpoint);
        const auto ends = end_tokens(*checkpoint, tokenizer.get());
        QVERIFY(std::find(ends.begin(), ends.end(), *tokenizer->eos()) != ends.end());
    }
};

QTEST_GUILESS_MAIN(TestEndTokens)
#include "test_end_tokens.moc"
