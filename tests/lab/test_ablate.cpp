// SPDX-License-Identifier: GPL-3.0-or-later
// Ablations: what a grid means, that each row is the evaluation of the model so changed, and what is refused.
// The parity set: it passes here, and a wrong backend fails it.
#include "../model/support_moa.h"
#include "engine/backend/reference/reference_backend.h"
#include "engine/base/embedded.h"
#include "engine/base/error.h"
#include "engine/lab/ablate.h"
#include "engine/lab/recipe.h"
#include "engine/lab/verify.h"

#include <QTemporaryDir>
#include <QTest>

using namespace moa_test;

namespace {

ergo::OpenModelOptions options_with(const std::vector<std::string>& set) {
    ergo::OpenModelOptions options;
    options.backend = "cpu";
    options.threads = 2;
    ergo::apply_settings(set, options.model);
    return options;
}

std::vector<std::int32_t> tokens_of(std::size_t i) {
    return ints(ergo::read_npz(data("logits.npz")).at(numbered("case", i, ".tokens")));
}

std::string refusal(const ergo::Model& model, const std::string& spec) {
    try {
        ergo::ablation_grid(model, spec);
    } catch (const ergo::Error& error) {
        return error.kind() == ergo::ErrorKind::usage ? error.what() : "another kind";
    }
    return "accepted";
}

} // namespace

class AblateTest : public QObject {
    Q_OBJECT
    QTemporaryDir folder_;
    std::string path_;
    std::shared_ptr<const ergo::OpenedModel> opened_;

  private slots:
    void initTestCase() {
        path_ = folder_.path().toStdString();
        ergo::synth(request_for(cases()[0]), path_);
        opened_ = ergo::open_all(path_, options_with({}), {}, {});
    }

    void grids() {
        const auto& model = *opened_->model;
        // Two layers and the head of 4 paths, one HyperFFN of 3; top-k 1…4 and 1…3; balls; two other metrics.
        QCOMPARE(ergo::ablation_grid(model, "paths").size(), std::size_t{15});
        QCOMPARE(ergo::ablation_grid(model, "topk").size(), std::size_t{7});
        QCOMPARE(ergo::ablation_grid(model, "balls").size(), std::size_t{1});
        QCOMPARE(ergo::ablation_grid(model, "metric").size(), std::size_t{2});
        QCOMPARE(ergo::ablation_grid(model, "").size(), std::size_t{25});
        std::int64_t heads = 0;
        for (const auto& site : model.info().attentions) {
            heads += site.heads;
        }
        QCOMPARE(static_cast<std::int64_t>(ergo::ablation_grid(model, "heads").size()), heads);
        const auto values = ergo::ablation_grid(model, "*.router.temperature*=0.5|2,balls");
        QCOMPARE(values.size(), std::size_t{3});
        QCOMPARE(values[1].set, std::vector<std::string>{"*.router.temperature*=2"});
        QVERIFY(refusal(model, "ears").find("ears") != std::string::npos);
        QVERIFY(refusal(model, "topk=").find("no value") != std::string::npos);
    }

    void grids_of_the_other_families() {
        const auto first_case = [](const char* family) {
            const auto* file = ergo::find_embedded(std::string("verify/") + family + ".json");
            return Json::parse(file->text())["cases"][0];
        };
        for (const char* family : {"kotodama", "gravity", "qwen2"}) {
            const Json each = first_case(family);
            ergo::SynthRequest request;
            request.config = each["config"].dump();
            if (each["knobs"].contains("masses")) {
                request.knobs["masses"] = each["knobs"]["masses"];
            }
            const QTemporaryDir folder;
            const std::string path = folder.path().toStdString();
            ergo::synth(request, path);
            const auto opened = ergo::open_all(path, options_with({}), {}, {});
            const auto grid = ergo::ablation_grid(*opened->model, "");
            const auto& info = opened->model->info();
            if (std::string(family) == "kotodama") { // every block but the one that never closes
                QCOMPARE(grid.size(), info.depth_blocks.size() - 1);
            } else if (std::string(family) == "gravity") {
                QCOMPARE(grid.size(), std::size_t{4});
            } else {
                QCOMPARE(static_cast<std::int64_t>(grid.size()), info.layers * info.heads);
            }
            ergo::EvaluationRequest text;
            text.tokens = each["tokens"].get<std::vector<std::int32_t>>();
            const auto result = ergo::ablate(*opened, options_with({}), text, grid, {}, {});
            std::size_t changed = 0;
            for (const auto& row : result.rows) {
                QVERIFY2(row.problem.empty(), row.problem.c_str());
                changed += row.result.nll != result.baseline.nll;
            }
            QVERIFY2(changed == grid.size(), family);
        }
    }

    void each_row_is_the_model_so_changed() {
        ergo::EvaluationRequest request;
        request.tokens = tokens_of(0);
        request.window = 12;
        const std::string grid = "paths,topk,balls,metric,layers.1.metric_attention.mask[2]=1,"
                                 "layers.*.router.temperature*=3,knob.score_scale=one";
        const auto variants = ergo::ablation_grid(*opened_->model, grid);
        double last = 0;
        const auto progress = [&](double done, double total, const std::string&) {
            QVERIFY(done >= last && done <= total);
            last = done;
        };
        const auto result = ergo::ablate(*opened_, options_with({}), request, variants, progress, {});
        QCOMPARE(result.rows.size(), variants.size());
        QCOMPARE(last, static_cast<double>(variants.size() + 1));
        std::size_t changed = 0;
        for (const auto& row : result.rows) {
            QVERIFY2(row.problem.empty(), row.problem.c_str());
            const auto other = ergo::open_all(path_, options_with(row.variant.set), {}, {});
            const double want = ergo::evaluate(*other, request, {}, {}).nll;
            QVERIFY2(std::abs(row.result.nll - want) <= 1e-9 * want, row.variant.name.c_str());
            changed += row.result.nll != result.baseline.nll;
        }
        QVERIFY(changed + 4 >= variants.size()); // top-k as it is changes nothing, a path never taken neither
    }

    void another_metric_is_another_model() {
        // The same tensors without the diagonals under a config that says l2: the reference's own meaning.
        auto made = ergo::synthesise(request_for(cases()[0]));
        Json config = Json::parse(made.config);
        config["metric"] = "l2";
        std::erase_if(made.tensors, [](const auto& each) { return each.first.ends_with(".metric_diag"); });
        const auto plain =
            ergo::open_model(ergo::Checkpoint::from_tensors(config.dump(), made.semantics, made.tensors), {});
        const auto swapped = ergo::open_all(path_, options_with({"knob.metric=l2"}), {}, {});
        const auto cpu = ergo::make_cpu_backend(2);
        const auto logits = [&](const ergo::Model& model) {
            return ergo::run_logits(model, *cpu, tokens_of(0), false, {}, {}).to_doubles();
        };
        QCOMPARE(logits(*swapped->model), logits(*plain));
        QVERIFY(compare(logits(*swapped->model), logits(*opened_->model)).relative() > 1e-3);
        QCOMPARE(swapped->model->info().settings.at("metric"), std::string("l2"));
        for (const char* wrong : {"knob.metric=maha", "knob.metric=3"}) {
            QVERIFY_EXCEPTION_THROWN(ergo::open_all(path_, options_with({wrong}), {}, {}), ergo::Error);
        }
        // A checkpoint without diagonals has nothing to make a diagonal metric of; the row says so.
        const QTemporaryDir other;
        config["metric"] = "l2";
        auto request = request_for(cases()[0]);
        request.config = config.dump();
        ergo::synth(request, other.path().toStdString());
        const auto l2 = ergo::open_all(other.path().toStdString(), options_with({}), {}, {});
        ergo::EvaluationRequest text;
        text.tokens = tokens_of(0);
        const auto result =
            ergo::ablate(*l2, options_with({}), text, ergo::ablation_grid(*l2->model, "metric"), {}, {});
        QCOMPARE(result.rows.size(), std::size_t{2});
        QVERIFY(result.rows[0].problem.empty());
        QVERIFY2(result.rows[1].problem.find("diagonal") != std::string::npos,
                 result.rows[1].problem.c_str());
    }

    void wrong_names_show_at_once() {
        ergo::EvaluationRequest request;
        request.tokens = tokens_of(0);
        const auto grid = ergo::ablation_grid(*opened_->model, "layers.7.router.topk=1");
        int evaluated = 0;
        const auto progress = [&](double, double, const std::string&) { ++evaluated; };
        QVERIFY_EXCEPTION_THROWN(ergo::ablate(*opened_, options_with({}), request, grid, progress, {}),
                                 ergo::Error);
        QCOMPARE(evaluated, 0);
    }

    void every_familys_parity_set_passes_data() {
        QTest::addColumn<QByteArray>("set");
        for (const ergo::EmbeddedFile& file : ergo::embedded_below("verify/")) {
            const QByteArray text(file.text().data(), static_cast<qsizetype>(file.text().size()));
            QTest::newRow(qPrintable(QString::fromStdString(std::string(file.path)))) << text;
        }
    }

    void every_familys_parity_set_passes() {
        QFETCH(QByteArray, set);
        const Json json = Json::parse(set.toStdString());
        const Json& each = json["cases"][0]; // any model of the family brings its set along
        ergo::SynthRequest request;
        request.config = each["config"].dump();
        request.preset = each["preset"];
        if (each["knobs"].contains("masses")) { // they tell gravity from dot products
            request.knobs["masses"] = each["knobs"]["masses"];
        }
        const QTemporaryDir folder;
        ergo::synth(request, folder.path().toStdString());
        const auto opened = ergo::open_all(folder.path().toStdString(), options_with({}), {}, {});
        const auto report = ergo::verify_parity(*opened, {}, {});
        QCOMPARE(report.family, json["family"].get<std::string>());
        for (const auto& row : report.rows) {
            QVERIFY2(row.passed(), (row.what + ", " + row.how + ": " + std::to_string(row.error)).c_str());
        }
        QVERIFY(report.passed() && report.notes.empty());
        QVERIFY(report.largest_error() > 0);
        QCOMPARE(report.rows.size(), 3 * json["cases"].size() + 4);
    }

    void a_wrong_number_fails() {
        ergo::ParityReport report;
        report.rows = {{"a", "one pass", 1e-5, 2e-4}};
        QVERIFY(report.passed());
        report.rows.push_back({"b", "one pass", 3e-4, 2e-4});
        QVERIFY(!report.passed());
        QCOMPARE(report.largest_error(), 3e-4);
        report.rows.back().error = std::nan("");
        QVERIFY(!report.passed());
    }

    /// A device that multiplies slightly wrong is found out.
    void a_wrong_backend_fails() {
        class Wrong final : public ergo::Backend {
          public:
            ergo::DeviceInfo info() const override { return inner_->info(); }
            ergo::MemoryNeed need(const ergo::Tables& tables, std::int64_t capacity,
                                  std::span<const ergo::Plan* const> plans) const override {
                return inner_->need(tables, capacity, plans);
            }
            ergo::DType held_as(ergo::DType stored) const override { return inner_->held_as(stored); }
            std::unique_ptr<ergo::LoadedModel> load(std::shared_ptr<const ergo::Tables> tables,
                                                    const ergo::Progress& progress,
                                                    const ergo::CancelToken& cancel) override {
                auto bent = std::make_shared<ergo::Tables>(*tables);
                auto& weight = bent->weights[bent->weights.size() / 2].tensor;
                auto values = weight.to_floats();
                values[0] += 0.05f;
                weight = ergo::Tensor::from_floats(weight.shape(), std::move(values));
                kept_.push_back(bent);
                return inner_->load(bent, progress, cancel);
            }

          private:
            std::shared_ptr<ergo::Backend> inner_ = ergo::make_cpu_backend(1);
            std::vector<std::shared_ptr<const ergo::Tables>> kept_;
        };
        ergo::OpenedModel opened = *opened_;
        opened.backend = std::make_shared<Wrong>();
        QVERIFY(!ergo::verify_parity(opened, {}, {}).passed());
    }
};

QTEST_GUILESS_MAIN(AblateTest)
#include "test_ablate.moc"
