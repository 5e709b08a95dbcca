// SPDX-License-Identifier: GPL-3.0-or-later
// Entropy, the largest weights and what they leave, against whole rows, for every demo model: the same
// numbers whether or not somebody also reads the pairs, and none where a token takes another path.
#include "engine/backend/backend.h"
#include "engine/backend/reference/reference_backend.h"
#include "engine/generate/opened_model.h"
#include "engine/lab/trace.h"

#include <QTest>

#include <cmath>
#include <map>

namespace {

using Arrays = std::map<std::string, std::vector<double>>;

const std::vector<std::int32_t>& tokens() {
    static const std::vector<std::int32_t> ids{5, 17, 300, 12, 5, 17, 300, 44, 9, 9, 9, 21, 5, 400};
    return ids;
}

Arrays trace(const ergo::Model& model, ergo::Backend& backend, bool decode,
             const std::vector<std::string>& observe) {
    ergo::TraceRequest request;
    request.tokens = tokens();
    request.decode = decode;
    request.observe = observe;
    Arrays out;
    for (const auto& [name, array] : ergo::run_trace(model, backend, request, {}, {})) {
        out[name] = array.to_doubles();
    }
    return out;
}

/// Why the rows of one site are wrong; empty when they are right.
std::string fault(const ergo::AttentionSite& site, const Arrays& all, const std::vector<double>* shares) {
    const auto heads = static_cast<std::size_t>(site.heads);
    const std::size_t n = tokens().size();
    const auto& weights = all.at(site.name("attention"));
    for (std::size_t t = 0; t < n; ++t) {
        const bool taken = !shares || (*shares)[t * 4 + static_cast<std::size_t>(site.path)] != 0;
        for (std::size_t h = 0; h < heads; ++h) {
            const std::string where =
                site.label + ", token " + std::to_string(t) + ", head " + std::to_string(h);
            const double rest = all.at(site.name("top_rest"))[t * heads + h];
            const double entropy = all.at(site.name("entropy"))[t * heads + h];
            if (std::isnan(rest) == taken || std::isnan(entropy) == taken) {
                return where +
                       (taken ? ": nothing, though the path was taken" : ": rows of a path not taken");
            }
            if (!taken) {
                continue;
            }
            const double* row = &weights[(h * n + t) * n];
            double nats = 0, left = 0, listed = 0, before = 2;
            for (std::size_t j = 0; j < n; ++j) {
                nats -= row[j] > 0 ? row[j] * std::log(row[j]) : 0;
                left += row[j];
            }
            for (std::size_t i = 0; i < 8; ++i) {
                const double key = all.at(site.name("top_keys"))[(t * heads + h) * 8 + i];
                const double weight = all.at(site.name("top_weights"))[(t * heads + h) * 8 + i];
                if (weight > before || (key >= 0 ? key > static_cast<double>(t) : weight != 0)) {
                    return where + ": place " + std::to_string(i);
                }
                if (key >= 0 && std::abs(weight - row[static_cast<std::size_t>(key)]) > 1e-5) {
                    return where + ": weight of key " + std::to_string(key);
                }
                before = weight;
                listed += weight;
            }
            if (std::abs(nats - entropy) > 1e-4 || std::abs(left - listed - rest) > 1e-5) {
                return where + ": entropy or rest";
            }
            if (t < 8 && std::abs(rest) > 1e-5) {
                return where + ": a rest of few keys";
            }
        }
    }
    return {};
}

} // namespace

class TestRowQuantities : public QObject {
    Q_OBJECT

  private slots:
    void follow_from_whole_rows_data();
    void follow_from_whole_rows();
};

void TestRowQuantities::follow_from_whole_rows_data() {
    QTest::addColumn<QString>("name");
    QTest::addColumn<bool>("decode");
    for (const std::string& demo : ergo::demo_models()) {
        const auto name = QString::fromStdString(demo);
        QTest::addRow("%s, one pass", qPrintable(name)) << name << false;
        QTest::addRow("%s, cached", qPrintable(name)) << name << true;
    }
}

void TestRowQuantities::follow_from_whole_rows() {
    QFETCH(QString, name);
    QFETCH(bool, decode);
    const auto model = ergo::open_model(ergo::open_checkpoint(name.toStdString()), {});
    const bool routed = !model->info().routers.empty();
    const std::vector<std::string> rows{"*.entropy", "*.top_*"};
    for (const auto& backend : {ergo::make_reference_backend(), ergo::make_cpu_backend(2)}) {
        auto observe = rows;
        observe.insert(observe.end(), {"*.attention"});
        if (routed) {
            observe.insert(observe.end(), {"*.router.shares"});
        }
        const Arrays all = trace(*model, *backend, decode, observe);
        for (const ergo::AttentionSite& site : model->info().attentions) {
            const std::vector<double>* shares =
                routed && site.path >= 0 ? &all.at(site.stage + ".router.shares") : nullptr;
            const std::string found = fault(site, all, shares);
            QVERIFY2(found.empty(), found.c_str());
        }
        for (const auto& [observable, values] : trace(*model, *backend, decode, rows)) {
            const auto& want = all.at(observable);
            QCOMPARE(values.size(), want.size());
            for (std::size_t i = 0; i < values.size(); ++i) {
                QVERIFY2(values[i] == want[i] || (std::isnan(values[i]) && std::isnan(want[i])),
                         observable.c_str());
            }
        }
    }
}

QTEST_GUILESS_MAIN(TestRowQuantities)
#include "test_row_quantities.moc"
