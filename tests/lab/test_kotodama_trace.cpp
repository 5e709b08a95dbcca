// SPDX-License-Identifier: GPL-3.0-or-later
// Everything observable of a Kotodama model against the reference, and properties that no reference is needed
// for: rows and depth weights sum to 1, nothing depends on what is watched.
#include "../model/support_kotodama.h"
#include "engine/backend/reference/reference_backend.h"
#include "engine/lab/trace.h"

#include <QTemporaryDir>
#include <QTest>

#include <random>

using namespace kotodama_test;

namespace {

using Trace = std::map<std::string, ergo::NpyArray>;

struct Opened {
    QTemporaryDir folder;
    std::shared_ptr<const ergo::Model> model;
    std::vector<std::int32_t> tokens;

    explicit Opened(std::size_t i) : tokens(tokens_of(i)) {
        write(folder.path().toStdString(), weights_of(cases()[i]["config"]));
        model = ergo::open_model(ergo::Checkpoint::open(folder.path().toStdString()), {});
    }

    Trace trace(ergo::Backend& backend, bool decode, const std::vector<std::string>& observe = {}) const {
        const ergo::TraceRequest request{.tokens = tokens, .observe = observe, .decode = decode};
        const auto arrays = ergo::run_trace(*model, backend, request, {}, {});
        return {arrays.begin(), arrays.end()};
    }
};

} // namespace

class TestKotodamaTrace : public QObject {
    Q_OBJECT

  private slots:
    void equals_the_reference_data();
    void equals_the_reference();
    void names_and_shapes();
    void everything_sums_to_one();
    void mixtures_follow_from_weights();
    void selection_changes_nothing();
};

void TestKotodamaTrace::equals_the_reference_data() {
    QTest::addColumn<int>("index");
    for (std::size_t i = 0; i < cases().size(); ++i) {
        QTest::newRow(cases()[i]["label"].get<std::string>().c_str()) << static_cast<int>(i);
    }
}

void TestKotodamaTrace::equals_the_reference() {
    QFETCH(int, index);
    const auto i = static_cast<std::size_t>(index);
    const Opened opened(i);
    const std::size_t n = opened.tokens.size();
    const auto rows = rows_of(i);
    const auto& info = opened.model->info();
    for (const auto& [backend, decode] : {std::pair(ergo::make_reference_backend(), false),
                                          {ergo::make_cpu_backend(2), false},
                                          {ergo::make_cpu_backend(2), true}}) {
        const Trace got = opened.trace(*backend, decode);
        const auto check = [&](const std::string& name, std::size_t blocks, const std::vector<double>& want) {
            const double error = relative(pick(got.at(name).to_doubles(), rows, n, blocks), want);
            QVERIFY2(error <= 1e-3, qPrintable(QString("%1: %2").arg(name.c_str()).arg(error)));
        };
        QCOMPARE(info.depths.size(), static_cast<std::size_t>(2 * info.layers + 1));
        for (std::size_t s = 0; s < info.depths.size(); ++s) {
            check(info.depths[s].weights, 1, expected(i, "depth", static_cast<int>(s)));
        }
        std::vector<double> norms;
        for (std::int64_t l = 0; l < info.layers; ++l) {
            const std::string stage = "layers." + std::to_string(l) + ".";
            const auto lengths = pick(got.at(stage + "norm").to_doubles(), rows, n);
            norms.insert(norms.end(), lengths.begin(), lengths.end());
            if (arrays().contains(named(i, "attention", static_cast<int>(l)))) {
                check(stage + "attention", static_cast<std::size_t>(info.heads),
                      expected(i, "attention", static_cast<int>(l)));
                check(stage + "hidden", 1, expected(i, "hidden", static_cast<int>(l)));
            }
        }
        QVERIFY(relative(norms, expected(i, "norms")) <= 1e-3);
    }
}

void TestKotodamaTrace::names_and_shapes() {
    const Opened opened(0); // 6 layers, boundaries 0, 2, 4
    const Trace got = opened.trace(*ergo::make_cpu_backend(2), false);
    QCOMPARE(got.size(), std::size_t(2 + 6 * 5 + 1)); // tokens, logits, five a layer, the last router
    const auto shape = [&](const char* name) { return got.at(name).shape; };
    QCOMPARE(shape("layers.0.attn_res.depth"), (ergo::Shape{24, 1}));
    QCOMPARE(shape("layers.0.mlp_res.depth"), (ergo::Shape{24, 2}));
    QCOMPARE(shape("layers.2.attn_res.depth"), (ergo::Shape{24, 2})); // still sees the block it closes
    QCOMPARE(shape("layers.2.mlp_res.depth"), (ergo::Shape{24, 3}));
    QCOMPARE(shape("final.res.depth"), (ergo::Shape{24, 4}));
    QCOMPARE(shape("layers.5.attention"), (ergo::Shape{4, 24, 24}));
    QCOMPARE(shape("layers.5.hidden"), (ergo::Shape{24, 64}));
    QCOMPARE(shape("layers.5.norm"), ergo::Shape{24});
}

void TestKotodamaTrace::everything_sums_to_one() {
    for (const std::size_t i : {0, 4, 5, 12}) {
        const Opened opened(i);
        const std::size_t n = opened.tokens.size();
        const Trace got = opened.trace(*ergo::make_cpu_backend(2), false);
        for (const auto& [name, array] : got) {
            const bool attention = name.ends_with(".attention");
            if (!attention && !name.ends_with(".depth")) {
                continue;
            }
            const auto values = array.to_doubles();
            const auto width = static_cast<std::size_t>(array.shape.back());
            for (std::size_t at = 0; at < values.size(); at += width) {
                double sum = 0;
                for (std::size_t c = 0; c < width; ++c) {
                    sum += values[at + c];
                    QVERIFY(values[at + c] >= 0 && !(attention && c > at / width % n && values[at + c] != 0));
                }
                QVERIFY2(std::abs(sum - 1) < 1e-5, name.c_str());
            }
        }
    }
}

/// What a sub-block reads is the sum of its sources by their weights, and the first one reads the embedding.
void TestKotodamaTrace::mixtures_follow_from_weights() {
    const Opened opened(0);
    const std::size_t n = opened.tokens.size(), width = 64;
    const Trace got = opened.trace(*ergo::make_cpu_backend(2), false, {"*"});
    const auto embedding = got.at("layers.0.attn_res.mixture").to_doubles();
    const auto first = got.at("layers.1.hidden").to_doubles(); // block of layers 0 and 1, closed at layer 2
    const auto weights = got.at("layers.2.attn_res.depth").to_doubles();
    const auto mixture = got.at("layers.2.attn_res.mixture").to_doubles();
    for (std::size_t t = 0; t < n; ++t) {
        for (std::size_t c = 0; c < width; ++c) {
            const std::size_t at = t * width + c;
            const double sum = weights[2 * t] * embedding[at] + weights[2 * t + 1] * first[at];
            QVERIFY(std::abs(mixture[at] - sum) < 1e-4);
        }
    }
}

void TestKotodamaTrace::selection_changes_nothing() {
    std::mt19937 random(5);
    for (const std::size_t i : {0, 9, 10}) {
        const Opened opened(i);
        const auto backend = ergo::make_cpu_backend(2);
        const Trace full = opened.trace(*backend, false, {"*"});
        for (int round = 0; round < 6; ++round) {
            std::vector<std::string> some;
            for (const auto& observable : opened.model->observables()) {
                if (random() % 4 == 0) {
                    some.push_back(observable.name);
                }
            }
            const Trace got = opened.trace(*backend, false, some);
            QCOMPARE(got.size(), some.size() + 2);
            for (const auto& [name, array] : got) {
                QVERIFY2(array.data == full.at(name).data, name.c_str());
            }
        }
    }
}

QTEST_GUILESS_MAIN(TestKotodamaTrace)
#include "test_kotodama_trace.moc"
