// SPDX-License-Identifier: GPL-3.0-or-later
// Every value of every semantic knob, set on the command line's way and in semantics.json, against the
// reference's logits; and random configurations of awkward sizes, whole, in chunks and token by token.
#include "engine/backend/reference/reference_backend.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/lab/trace.h"
#include "engine/model/moa/semantics.h"
#include "support_moa.h"

#include <QTemporaryDir>
#include <QTest>

#include <set>

using namespace moa_test;

namespace {

void write(const QTemporaryDir& folder, const ergo::Synthetic& made, const std::string& semantics) {
    const std::filesystem::path path = folder.path().toStdString();
    std::ofstream(path / "config.json") << made.config;
    std::ofstream(path / "semantics.json") << semantics;
    ergo::write_safetensors(path / "model.safetensors", made.tensors);
}

std::shared_ptr<const ergo::Model> open(const QTemporaryDir& folder, const ergo::OpenOptions& options) {
    return ergo::open_model(ergo::Checkpoint::open(folder.path().toStdString()), options);
}

/// What `--set` gives for the parameters that the case scales.
ergo::OpenOptions scaling(const Json& each) {
    ergo::OpenOptions options;
    for (const Json& change : each["scale"]) {
        options.interventions.push_back("*." + change[0].get<std::string>() + "*=" + change[1].dump());
    }
    return options;
}

/// As a person types it: texts without quotes.
std::string typed(const Json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

} // namespace

class TestMoaKnobs : public QObject {
    Q_OBJECT

  private slots:
    void every_knob_is_here();
    void knob_data() { list("knobs.json"); }
    void knob();
    void random_sizes_data() { list("random.json"); }
    void random_sizes();

  private:
    static void list(const char* file) {
        QTest::addColumn<int>("index");
        const Json all = read_cases(file);
        for (std::size_t i = 0; i < all.size(); ++i) {
            const QString label = QString::fromStdString(all[i]["label"]);
            QTest::newRow(qPrintable(QString("%1 %2").arg(i).arg(label))) << static_cast<int>(i);
        }
    }
};

void TestMoaKnobs::every_knob_is_here() {
    std::set<std::string> tried{"updown_mult"};
    std::map<std::string, std::set<std::string>> values;
    for (const Json& each : read_cases("knobs.json")) {
        tried.insert(each["knob"].get<std::string>());
        values[each["knob"]].insert(typed(each["value"]));
    }
    const ergo::Variables defaults = ergo::moa::Semantics().variables();
    for (const auto& [name, value] : defaults) {
        QVERIFY2(tried.contains(name), name.c_str());
        for (const std::string& choice : ergo::moa::knob_choices(name)) {
            const auto* usual = std::get_if<std::string>(&value);
            const bool around = name == "rope_source" || name == "ball_mode"; // other cases' surroundings
            QVERIFY2(values[name].contains(choice) || (usual && *usual == choice) || around,
                     (name + "=" + choice).c_str());
        }
    }
}

void TestMoaKnobs::knob() {
    QFETCH(int, index);
    const auto i = static_cast<std::size_t>(index);
    const Json each = read_cases("knobs.json")[i];
    const auto want = ergo::read_npz(data("knobs.npz")).at(three_digits(i)).to_doubles();
    const std::string knob = each["knob"];
    auto request = stored_request(each);
    const ergo::Synthetic made = ergo::synthesise(request);
    ergo::OpenOptions set = scaling(each);
    ergo::moa::Semantics told;
    told.apply(ergo::moa::parse_knobs(made.semantics, "semantics.json"), "semantics.json");
    if (knob != "metric") {
        set.knobs[knob] = typed(each["value"]);
        told.apply(ergo::moa::parse_knobs(set.knobs), "settings");
    }
    const QTemporaryDir stored, changed;
    write(stored, made, made.semantics);
    write(changed, made, told.json());
    const auto by_set = open(stored, set), by_file = open(changed, scaling(each));
    const auto tokens = each["tokens"].get<std::vector<std::int32_t>>();
    const auto cpu = ergo::make_cpu_backend(2), plain = ergo::make_reference_backend();
    const auto whole = ergo::run_logits(*by_set, *cpu, tokens, false, {}, {}).to_doubles();
    QCOMPARE(ergo::run_logits(*by_file, *cpu, tokens, false, {}, {}).to_doubles(), whole);
    for (const auto& logits : {whole, ergo::run_logits(*by_set, *cpu, tokens, true, {}, {}).to_doubles(),
                               ergo::run_logits(*by_set, *plain, tokens, false, {}, {}, 4).to_doubles()}) {
        const double error = compare(rows_of(logits, each), want).relative();
        QVERIFY2(error <= 2e-4, qPrintable(QString::number(error)));
    }
}

void TestMoaKnobs::random_sizes() {
    QFETCH(int, index);
    const auto i = static_cast<std::size_t>(index);
    const Json each = read_cases("random.json")[i];
    const auto want = ergo::read_npz(data("random.npz")).at(three_digits(i)).to_doubles();
    const QTemporaryDir folder;
    ergo::synth(stored_request(each), folder.path().toStdString());
    const auto model = open(folder, {});
    const auto tokens = each["tokens"].get<std::vector<std::int32_t>>();
    for (const auto& backend : {ergo::make_cpu_backend(2), ergo::make_reference_backend()}) {
        for (const auto& [what, decode, chunk] :
             {std::tuple("whole", false, 0), std::tuple("chunks", false, 31),
              std::tuple("cached", true, 0)}) {
            const auto logits =
                ergo::run_logits(*model, *backend, tokens, decode, {}, {}, chunk).to_doubles();
            const double error = compare(rows_of(logits, each), want).relative();
            qInfo("%s, %s: %.1e", backend->info().backend.c_str(), what, error);
            QVERIFY2(error <= 2e-4, qPrintable(QString("%1: %2").arg(what).arg(error)));
        }
    }
}

QTEST_GUILESS_MAIN(TestMoaKnobs)
#include "test_moa_knobs.moc"
