// SPDX-License-Identifier: GPL-3.0-or-later
// Traces against the reference's, array by array; decoding through the cache; sizes that are refused.
#include "../model/support_moa.h"
#include "engine/backend/reference/reference_backend.h"
#include "engine/base/error.h"
#include "engine/lab/trace.h"

#include <QTemporaryDir>
#include <QTest>

#include <map>
#include <set>

using namespace moa_test;

namespace {

struct Opened {
    QTemporaryDir folder;
    std::shared_ptr<const ergo::Model> model;
    std::vector<std::int32_t> tokens;

    explicit Opened(std::size_t i, const ergo::OpenOptions& options = {}) {
        ergo::synth(request_for(cases()[i]), folder.path().toStdString());
        model = ergo::open_model(ergo::Checkpoint::open(folder.path().toStdString()), options);
        tokens = ints(ergo::read_npz(data("logits.npz")).at(numbered("case", i, ".tokens")));
    }

    std::map<std::string, ergo::NpyArray> trace(ergo::Backend& backend, bool decode,
                                                const std::vector<std::string>& observe = {}) const {
        ergo::TraceRequest request;
        request.tokens = tokens;
        request.decode = decode;
        request.observe = observe;
        const auto arrays = ergo::run_trace(*model, backend, request, {}, {});
        return {arrays.begin(), arrays.end()};
    }
};

bool ends(const std::string& name, const char* quantity) {
    return name.ends_with(std::string(".") + quantity);
}

bool is_pair_map(const std::string& name) {
    return ends(name, "attention") || ends(name, "kept") || ends(name, "score") || ends(name, "distance");
}

/// What stands where a key comes later than its query cannot be known when decoding.
void clear_later_keys(std::vector<double>& map, std::size_t n) {
    for (std::size_t at = 0; at < map.size(); ++at) {
        if (at % n > at / n % n) {
            map[at] = 0;
        }
    }
}

std::vector<std::shared_ptr<ergo::Backend>> backends() {
    return {ergo::make_reference_backend(), ergo::make_cpu_backend(2)};
}

} // namespace

class TestTrace : public QObject {
    Q_OBJECT

  private slots:
    void equals_the_reference_data();
    void equals_the_reference();
    void selection_changes_nothing();
    void too_large_is_refused();
    void bad_requests();
    void kept_share_and_entropy();
};

void TestTrace::equals_the_reference_data() {
    QTest::addColumn<int>("index");
    QTest::addColumn<bool>("decode");
    for (std::size_t i = 0; i < cases().size(); ++i) {
        const auto label = QByteArray::fromStdString(cases()[i]["label"].get<std::string>());
        if (cases()[i]["trace"].get<bool>()) {
            QTest::newRow(label + ", one pass") << static_cast<int>(i) << false;
            QTest::newRow(label + ", cached") << static_cast<int>(i) << true;
        }
    }
}

void TestTrace::equals_the_reference() {
    QFETCH(int, index);
    QFETCH(bool, decode);
    const auto i = static_cast<std::size_t>(index);
    const auto want = ergo::read_npz(data(numbered("trace", i, ".npz")));
    const Opened opened(i);
    const auto n = opened.tokens.size();
    for (const auto& backend : backends()) {
        const auto got = opened.trace(*backend, decode);
        std::set<std::string> names{"tokens", "logits"};
        double worst = 0;
        std::string where;
        for (const auto& [name, array] : want) {
            names.insert(name);
            QVERIFY2(got.contains(name), name.c_str());
            QVERIFY2(got.at(name).shape == array.shape, name.c_str());
            QCOMPARE(got.at(name).descr == "|u1", array.descr == "|u1");
            auto a = got.at(name).to_doubles(), b = array.to_doubles();
            if (decode && is_pair_map(name)) {
                clear_later_keys(b, n);
            }
            const double error = compare(a, b).relative();
            if (error > worst) {
                worst = error;
                where = name;
            }
        }
        qInfo("%s: worst %.1e in %s", backend->info().backend.c_str(), worst, where.c_str());
        QVERIFY2(worst <= 2e-4, where.c_str());
        for (const auto& [name, array] : got) {
            QVERIFY2(names.contains(name), ("not in the reference: " + name).c_str());
        }
    }
}

/// A few observables alone, in any combination, are those of the full trace; logits too.
void TestTrace::selection_changes_nothing() {
    const Opened opened(0);
    const auto backend = ergo::make_cpu_backend(2);
    const auto full = opened.trace(*backend, false);
    for (const std::vector<std::string>& list :
         {std::vector<std::string>{"layers.1.metric_mqa.kept", "lm_head.router.shares"},
          {"*.block.norm", "layers.?.metric_attention.distance"},
          {"layers.2.hyper_ffn.*"},
          {"*.ti_violation", "*.gain", "*.alpha"}}) {
        const auto some = opened.trace(*backend, false, list);
        QVERIFY(some.size() > 2 && some.size() < full.size());
        for (const auto& [name, array] : some) {
            const bool lens_only = !full.contains(name);
            QVERIFY2(lens_only || compare(array.to_doubles(), full.at(name).to_doubles()).relative() <= 1e-6,
                     name.c_str());
        }
    }
}

void TestTrace::too_large_is_refused() {
    const Opened opened(0);
    const auto backend = ergo::make_cpu_backend(1);
    ergo::TraceRequest request;
    request.tokens = opened.tokens;
    request.max_bytes = 100000;
    try {
        ergo::run_trace(*opened.model, *backend, request, {}, {});
        QFAIL("a trace beyond the limit was made");
    } catch (const ergo::Error& error) {
        QCOMPARE(error.kind(), ergo::ErrorKind::resources);
        const std::string& advice = error.where().advice;
        const auto open = advice.find('\''), close = advice.rfind('\'');
        QVERIFY2(open < close, advice.c_str());
        request.observe.clear();
        const QString list = QString::fromStdString(advice.substr(open + 1, close - open - 1));
        for (const QString& glob : list.split(',')) {
            request.observe.push_back(glob.toStdString());
        }
    }
    QVERIFY(ergo::run_trace(*opened.model, *backend, request, {}, {}).size() > 2); // what is named does fit
}

void TestTrace::bad_requests() {
    const Opened opened(0);
    const auto backend = ergo::make_cpu_backend(1);
    const auto kind_of = [&](std::vector<std::int32_t> tokens, std::vector<std::string> observe) {
        try {
            ergo::TraceRequest request;
            request.tokens = std::move(tokens);
            request.observe = std::move(observe);
            ergo::run_trace(*opened.model, *backend, request, {}, {});
        } catch (const ergo::Error& error) {
            return error.kind();
        }
        return ergo::ErrorKind::io;
    };
    QCOMPARE(kind_of({}, {}), ergo::ErrorKind::usage);
    QCOMPARE(kind_of({1, 61}, {}), ergo::ErrorKind::usage);
    QCOMPARE(kind_of({-1}, {}), ergo::ErrorKind::usage);
    QCOMPARE(kind_of(std::vector<std::int32_t>(65, 1), {}), ergo::ErrorKind::usage); // 64 positions
    QCOMPARE(kind_of({1}, {"layers.0.metric_atention.attention"}), ergo::ErrorKind::usage);
}

/// The lens-only quantities follow from the traced ones.
void TestTrace::kept_share_and_entropy() {
    const Opened opened(0);
    const auto n = opened.tokens.size();
    for (const auto& backend : backends()) {
        const auto got =
            opened.trace(*backend, false, {"layers.0.metric_attention.*", "layers.0.router.shares"});
        const auto taken = got.at("layers.0.router.shares").to_doubles();
        const auto attention = got.at("layers.0.metric_attention.attention").to_doubles();
        const auto kept = got.at("layers.0.metric_attention.kept").to_doubles();
        const auto share = got.at("layers.0.metric_attention.kept_share").to_doubles();
        const auto entropy = got.at("layers.0.metric_attention.entropy").to_doubles();
        const std::size_t heads = share.size() / n;
        for (std::size_t h = 0; h < heads; ++h) {
            for (std::size_t t = 0; t < n; ++t) {
                double count = 0, nats = 0;
                for (std::size_t j = 0; j <= t; ++j) {
                    const double w = attention[(h * n + t) * n + j];
                    count += kept[(h * n + t) * n + j];
                    nats -= w > 0 ? w * std::log(w) : 0;
                }
                QVERIFY(std::abs(share[t * heads + h] - count / static_cast<double>(t + 1)) < 1e-6);
                if (taken[t * 4 + 1] == 0) {
                    QVERIFY(std::isnan(entropy[t * heads + h])); // not a token of this path
                } else {
                    QVERIFY(std::abs(entropy[t * heads + h] - nats) < 1e-4);
                }
            }
        }
    }
}

QTEST_GUILESS_MAIN(TestTrace)
#include "test_trace.moc"
