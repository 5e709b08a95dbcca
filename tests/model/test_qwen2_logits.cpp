// SPDX-License-Identifier: GPL-3.0-or-later
// Logits and traces of random Qwen2-class models under both laws, against the float64 reference: in one pass,
// in chunks, token by token, on the reference backend and the CPU.
#include "engine/backend/reference/reference_backend.h"
#include "engine/lab/trace.h"
#include "support_qwen2.h"

#include <QTemporaryDir>
#include <QTest>

using namespace qwen2_test;

class TestQwen2Logits : public QObject {
    Q_OBJECT

  private slots:
    void agree_data();
    void agree();
    void traces_data() { agree_data(); }
    void traces();
};

void TestQwen2Logits::agree_data() {
    QTest::addColumn<int>("index");
    for (std::size_t i = 0; i < cases().size(); ++i) {
        const Json& config = cases()[i]["config"];
        QTest::addRow("%d: %s, %d heads over %d, %d tokens", static_cast<int>(i),
                      cases()[i]["masses"] == "none" ? "dot" : "gravity",
                      config["num_attention_heads"].get<int>(), config["num_key_value_heads"].get<int>(),
                      cases()[i]["tokens"].get<int>())
            << static_cast<int>(i);
    }
}

void TestQwen2Logits::agree() {
    QFETCH(int, index);
    const auto i = static_cast<std::size_t>(index);
    const QTemporaryDir folder;
    write_case(cases()[i], folder.path().toStdString());
    const auto model = open(folder.path().toStdString(), options_of(cases()[i]));
    QCOMPARE(model->info().settings.at("law"),
             std::string(cases()[i]["masses"] == "none" ? "dot" : "gravity"));
    const auto tokens = tokens_of(i);
    const std::pair<const char*, std::shared_ptr<ergo::Backend>> backends[] = {
        {"cpu", ergo::make_cpu_backend(2)}, {"reference", ergo::make_reference_backend()}};
    for (const auto& [name, backend] : backends) {
        for (const auto& [what, decode, chunk] :
             {std::tuple("one pass", false, 0), std::tuple("chunks", false, 7),
              std::tuple("cached", true, 0)}) {
            if (tokens.size() > 70 && std::string(name) == "reference" && decode) {
                continue; // slow, and the same ops
            }
            const auto got = ergo::run_logits(*model, *backend, tokens, decode, {}, {}, chunk).to_doubles();
            const double error = relative(stored_rows(i, got, tokens.size()), expected(i, "logits"));
            QVERIFY2(error <= 2e-5, qPrintable(QString("%1, %2: %3").arg(name, what).arg(error)));
        }
    }
}

/// The last query's attention and distances, every layer's norms and masses.
void TestQwen2Logits::traces() {
    QFETCH(int, index);
    const auto i = static_cast<std::size_t>(index);
    const QTemporaryDir folder;
    write_case(cases()[i], folder.path().toStdString());
    const auto model = open(folder.path().toStdString(), options_of(cases()[i]));
    ergo::TraceRequest request;
    request.tokens = tokens_of(i);
    request.decode = i % 2 == 1;
    std::map<std::string, std::vector<double>> arrays;
    for (const auto& [name, array] : ergo::run_trace(*model, *ergo::make_cpu_backend(2), request, {}, {})) {
        arrays[name] = array.to_doubles();
    }
    const std::size_t n = request.tokens.size(), layers = static_cast<std::size_t>(model->info().layers),
                      heads = static_cast<std::size_t>(model->info().heads);
    std::map<std::string, std::vector<double>> got;
    for (std::size_t l = 0; l < layers; ++l) {
        const std::string place = "layers." + std::to_string(l) + ".";
        for (const char* quantity : {"attention", "distance"}) {
            const auto& pairs = arrays[place + quantity];
            for (std::size_t h = 0; h < heads && !pairs.empty(); ++h) {
                const auto row = pairs.begin() + static_cast<std::ptrdiff_t>((h * n + n - 1) * n);
                got[quantity].insert(got[quantity].end(), row, row + static_cast<std::ptrdiff_t>(n));
            }
        }
        for (const char* quantity : {"norm", "mass"}) {
            const auto& values = arrays[place + quantity];
            got[quantity].insert(got[quantity].end(), values.begin(), values.end());
        }
        const auto& attention = arrays[place + "attention"];
        for (std::size_t row = 0; row < heads * n; ++row) { // row-stochastic and causal
            double sum = 0;
            for (std::size_t k = 0; k < n; ++k) {
                sum += attention[row * n + k];
                QVERIFY(k <= row % n || attention[row * n + k] == 0);
            }
            QVERIFY(std::abs(sum - 1) < 1e-5);
        }
    }
    for (const char* quantity : {"attention", "distance", "norm", "mass"}) {
        QCOMPARE(got[quantity].empty(), !has_vector(i, quantity));
        if (has_vector(i, quantity)) {
            const double error = relative(got[quantity], expected(i, quantity));
            QVERIFY2(error <= 1e-4, qPrintable(QString("%1: %2").arg(quantity).arg(error)));
        }
    }
}

QTEST_GUILESS_MAIN(TestQwen2Logits)
#include "test_qwen2_logits.moc"
