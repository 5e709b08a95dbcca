// SPDX-License-Identifier: GPL-3.0-or-later
// An opened MoA model: recognition and its refusals, plans under any subscription, skipping, causality,
// interventions, and what is said about the model.
#include "engine/backend/reference/reference_backend.h"
#include "engine/base/error.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/lab/trace.h"
#include "engine/model/moa/ti_violation.h"
#include "support_moa.h"

#include <QTemporaryDir>
#include <QTest>

#include <random>

using namespace moa_test;

namespace {

void write(const QTemporaryDir& folder, const ergo::Synthetic& made, bool with_semantics = true) {
    const std::filesystem::path path = folder.path().toStdString();
    std::ofstream(path / "config.json") << made.config;
    if (with_semantics) {
        std::ofstream(path / "semantics.json") << made.semantics;
    }
    ergo::write_safetensors(path / "model.safetensors", made.tensors);
}

std::shared_ptr<const ergo::Model> open(const QTemporaryDir& folder, const ergo::OpenOptions& options = {}) {
    return ergo::open_model(ergo::Checkpoint::open(folder.path().toStdString()), options);
}

std::string refusal(const QTemporaryDir& folder, ergo::ErrorKind kind,
                    const ergo::OpenOptions& options = {}) {
    try {
        open(folder, options);
    } catch (const ergo::Error& error) {
        return error.kind() == kind ? error.what() : "another kind: " + std::string(error.what());
    }
    return "accepted";
}

std::vector<double> logits(const ergo::Model& model, const std::vector<std::int32_t>& tokens,
                           bool decode = false, const ergo::ParamValues& params = {}) {
    const auto backend = ergo::make_cpu_backend(2);
    return ergo::run_logits(model, *backend, tokens, decode, {}, {}, 0, params).to_doubles();
}

std::vector<std::int32_t> tokens_of(std::size_t i) {
    return ints(ergo::read_npz(data("logits.npz")).at(numbered("case", i, ".tokens")));
}

ergo::ParamId param(const ergo::Model& model, const std::string& name) {
    const auto at = ergo::find_observable(model.observables(), name);
    return at < 0 ? ergo::ParamId{} : model.param_of(model.observables()[static_cast<std::size_t>(at)]);
}

/// Bytes of weights read while decoding `tokens`, with values set before the first and `observe` read.
std::uint64_t bytes_read(const ergo::Model& model, const std::vector<std::int32_t>& tokens,
                         const ergo::ParamValues& params, const std::vector<std::string>& observe = {}) {
    const auto backend = ergo::make_cpu_backend(2);
    const auto loaded = backend->load(model.tables(), {}, {});
    const auto executor = loaded->create_executor(64);
    for (const auto& [id, values] : params) {
        executor->set_param(id, values);
    }
    ergo::PlanRequest request;
    for (const std::int32_t index : ergo::match_observables(model.observables(), observe)) {
        request.subscriptions.push_back({index, {}});
    }
    const auto plan = model.build(request);
    const auto program = executor->prepare(plan.plan);
    for (std::size_t t = 0; t < tokens.size(); ++t) {
        executor->run(*program, {static_cast<std::int64_t>(t), {tokens[t]}}, {});
    }
    return executor->counters().weight_bytes_read;
}

} // namespace

class TestMoaModel : public QObject {
    Q_OBJECT

  private slots:
    void recognition();
    void misfits();
    void unknown_family();
    void context_limits();
    void any_subscription_leaves_the_logits();
    void subscription_errors();
    void skipping_reads_less();
    void later_tokens_change_nothing_before();
    void the_last_row_alone();
    void interventions();
    void description();
    void triples();
    void half_weights_data();
    void half_weights();
};

void TestMoaModel::recognition() {
    for (const auto& [i, schema] : {std::pair(std::size_t{0}, "moa-2026"),
                                    {std::size_t{5}, "moa-2025"},
                                    {std::size_t{6}, "moa-2025-rope"}}) {
        const QTemporaryDir folder;
        write(folder, ergo::synthesise(request_for(cases()[i])), false);
        const auto model = open(folder); // without semantics.json the tensors alone decide
        QCOMPARE(model->info().variant, std::string(schema));
        QVERIFY(model->info().why.find(schema) != std::string::npos);
        const auto want = ergo::read_npz(data("logits.npz")).at(numbered("case", i, ".logits")).to_doubles();
        QVERIFY(compare(logits(*model, tokens_of(i)), want).relative() < 2e-4);
    }
}

void TestMoaModel::misfits() {
    auto made = ergo::synthesise(request_for(cases()[0]));
    const auto original = made;
    made.tensors.erase(made.tensors.begin() + 5);
    {
        const QTemporaryDir folder;
        write(folder, made);
        const std::string text = refusal(folder, ergo::ErrorKind::mismatch);
        QVERIFY2(text.find(original.tensors[5].first) != std::string::npos, text.c_str());
    }
    made = original;
    made.tensors.emplace_back("model.layers.0.surprise", ergo::Tensor::from_floats({2}, {1, 2}));
    {
        const QTemporaryDir folder;
        write(folder, made);
        const std::string text = refusal(folder, ergo::ErrorKind::mismatch);
        QVERIFY2(text.find("model.layers.0.surprise") != std::string::npos, text.c_str());
        ergo::OpenOptions options;
        options.allow_unused = true;
        QVERIFY(!open(folder, options)->info().problems.empty());
    }
    made = original;
    made.tensors[0].second = ergo::Tensor::from_floats({60, 32}, std::vector<float>(60 * 32));
    {
        const QTemporaryDir folder;
        write(folder, made);
        const std::string text = refusal(folder, ergo::ErrorKind::mismatch);
        QVERIFY2(text.find("[61, 32]") != std::string::npos && text.find("[60, 32]") != std::string::npos,
                 text.c_str());
    }
    {
        const QTemporaryDir folder;
        write(folder, original);
        ergo::OpenOptions options;
        options.knobs["ball_mode"] = "squishy";
        const std::string text = refusal(folder, ergo::ErrorKind::usage, options);
        QVERIFY2(text.find("ball_mode") != std::string::npos &&
                     text.find("hard, soft, off") != std::string::npos,
                 text.c_str());
        options.knobs["ball_mode"] = "off"; // knobs of the caller win over semantics.json
        QCOMPARE(open(folder, options)->info().settings.at("knob.ball_mode"), std::string("off"));
        std::filesystem::remove(std::filesystem::path(folder.path().toStdString()) / "config.json");
        QVERIFY(refusal(folder, ergo::ErrorKind::mismatch).find("config.json") != std::string::npos);
    }
}

void TestMoaModel::unknown_family() {
    const QTemporaryDir folder;
    write(folder, {R"({"model_type": "other"})", "{}", {{"a.weight", ergo::Tensor::from_floats({1}, {1})}}});
    const std::string text = refusal(folder, ergo::ErrorKind::unsupported);
    QVERIFY2(text.find("a.weight") != std::string::npos && text.find("MoA") != std::string::npos,
             text.c_str());
}

void TestMoaModel::context_limits() {
    const QTemporaryDir synthesised, stored;
    write(synthesised, ergo::synthesise(request_for(cases()[0])));
    write(stored, ergo::synthesise(request_for(cases()[1])));
    ergo::OpenOptions options;
    options.context = 100;
    QCOMPARE(open(synthesised, options)->max_positions(), 100);
    QVERIFY(refusal(stored, ergo::ErrorKind::usage, options).find("64") != std::string::npos);
    options.context = -1;
    QVERIFY(refusal(synthesised, ergo::ErrorKind::usage, options).find("-1") != std::string::npos);
    // A rotation does not depend on how many positions were prepared.
    options.context = 30;
    const auto tokens = tokens_of(0);
    QCOMPARE(logits(*open(synthesised, options), tokens), logits(*open(synthesised), tokens));
}

void TestMoaModel::any_subscription_leaves_the_logits() {
    std::mt19937 random(3);
    for (const std::size_t i : {std::size_t{0}, std::size_t{3}, std::size_t{4}, std::size_t{6}}) {
        const QTemporaryDir folder;
        write(folder, ergo::synthesise(request_for(cases()[i])));
        const auto model = open(folder);
        const auto backend = ergo::make_cpu_backend(2);
        const auto tokens = tokens_of(i);
        const auto want = logits(*model, tokens);
        for (int round = 0; round < 6; ++round) {
            ergo::TraceRequest request;
            request.tokens = tokens;
            for (const auto& observable : model->observables()) {
                if (random() % 5 == 0) {
                    request.observe.push_back(observable.name);
                }
            }
            const auto arrays = ergo::run_trace(*model, *backend, request, {}, {});
            QCOMPARE(arrays.size(), request.observe.size() + 2);
            QVERIFY(compare(arrays[1].second.to_doubles(), want).relative() < 1e-5);
        }
    }
}

void TestMoaModel::subscription_errors() {
    const QTemporaryDir folder;
    write(folder, ergo::synthesise(request_for(cases()[0])));
    const auto model = open(folder);
    const auto pair = ergo::find_observable(model->observables(), "layers.0.metric_attention.attention");
    QVERIFY_EXCEPTION_THROWN(model->build({1, false, {{-1, {}}}}), ergo::Error);
    QVERIFY_EXCEPTION_THROWN(model->build({1, false, {{100000, {}}}}), ergo::Error);
    QVERIFY_EXCEPTION_THROWN(model->build({1, false, {{pair, {8}}}}), ergo::Error);
    QVERIFY_EXCEPTION_THROWN(model->build({0, false, {}}), ergo::Error);
    // Two readers with different heads share one capture of all heads.
    const auto plan = model->build({1, false, {{pair, {2}}, {pair, {5, 1}}}});
    QCOMPARE(plan.outputs.size(), std::size_t{2});
    QVERIFY(plan.outputs[0].buffer_heads.empty() && plan.outputs[0].primary == plan.outputs[1].primary);
    QCOMPARE(model->build({1, false, {{pair, {2}}}}).outputs[0].buffer_heads, std::vector<std::int32_t>{2});
}

void TestMoaModel::skipping_reads_less() {
    const QTemporaryDir folder;
    write(folder, ergo::synthesise(request_for(cases()[0])));
    const auto model = open(folder);
    const auto tokens = tokens_of(0);
    const auto top = [&](float k) {
        ergo::ParamValues out;
        for (const char* stage : {"layers.0", "layers.1", "lm_head"}) {
            out.emplace_back(param(*model, std::string(stage) + ".router.topk"), std::vector<float>{k});
        }
        return out;
    };
    const auto one = bytes_read(*model, tokens, top(1)), two = bytes_read(*model, tokens, top(2)),
               four = bytes_read(*model, tokens, top(4));
    QVERIFY2(one < two && two < four, qPrintable(QString("%1 %2 %3").arg(one).arg(two).arg(four)));
    QCOMPARE(bytes_read(*model, tokens, {}), two); // the configuration's own
    QCOMPARE(bytes_read(*model, tokens, {}, {"*.entropy", "*.top_*", "*.router.shares"}), two);
    QVERIFY(bytes_read(*model, tokens, {}, {"*.attention"}) > two); // pairs are shown of every token
}

void TestMoaModel::later_tokens_change_nothing_before() {
    for (const std::size_t i : {std::size_t{0}, std::size_t{4}, std::size_t{7}}) {
        const QTemporaryDir folder;
        write(folder, ergo::synthesise(request_for(cases()[i])));
        const auto model = open(folder);
        auto tokens = tokens_of(i);
        const auto before = logits(*model, tokens);
        const std::size_t half = tokens.size() / 2, width = before.size() / tokens.size();
        tokens[half] = (tokens[half] + 1) % 61;
        const auto after = logits(*model, tokens);
        for (std::size_t at = 0; at < half * width; ++at) {
            QVERIFY(std::abs(before[at] - after[at]) <= 1e-5 * (1 + std::abs(before[at])));
        }
        double changed = 0;
        for (std::size_t at = half * width; at < (half + 1) * width; ++at) {
            changed = std::max(changed, std::abs(before[at] - after[at]));
        }
        QVERIFY(changed > 1e-4);
    }
}

/// A prompt whose last row alone is wanted: same logits and the same state, whatever is observed.
void TestMoaModel::the_last_row_alone() {
    std::mt19937 random(5);
    for (std::size_t i = 0; i < cases().size(); ++i) {
        const QTemporaryDir folder;
        write(folder, ergo::synthesise(request_for(cases()[i])));
        const auto model = open(folder);
        for (const auto& backend : {ergo::make_cpu_backend(2), ergo::make_reference_backend()}) {
            QCOMPARE(tail_difference(*model, *backend, tokens_of(i), {}), std::string());
            for (int round = 0; round < 3; ++round) {
                QCOMPARE(tail_difference(*model, *backend, tokens_of(i), head_subscriptions(*model, random)),
                         std::string());
            }
        }
    }
    // The head multiplies far less: rows times weights over its products.
    const QTemporaryDir folder;
    write(folder, ergo::synthesise(request_for(cases()[0])));
    const auto model = open(folder);
    const auto work = [&](bool all) {
        const auto plan = model->build({64, all, {}}).plan;
        double total = 0;
        for (const ergo::Op& op : plan->ops) {
            if (const auto* linear = std::get_if<ergo::Linear>(&op.body);
                linear && op.name.starts_with("lm")) {
                const auto& out = plan->buffers[static_cast<std::size_t>(linear->out.index)];
                const auto& weight = model->tables()->weights[static_cast<std::size_t>(linear->weight.index)];
                total += static_cast<double>(weight.tensor.size()) *
                         (out.extent == ergo::BufferInfo::Extent::last_row ? 1 : 64);
            }
        }
        return total;
    };
    QVERIFY2(work(false) < work(true) / 4, qPrintable(QString::number(work(false) / work(true))));
}

/// A parameter set for a run is the model whose checkpoint says the same.
void TestMoaModel::interventions() {
    auto request = request_for(cases()[0]);
    const QTemporaryDir folder, other;
    write(folder, ergo::synthesise(request));
    Json config = cases()[0]["config"];
    config["router_topk"] = 3;
    config["router_temperature"] = 0.7;
    request.config = config.dump();
    write(other, ergo::synthesise(request));
    const auto model = open(folder), changed = open(other);
    const auto tokens = tokens_of(0);
    ergo::ParamValues params;
    for (const char* stage : {"layers.0", "layers.1"}) {
        params.emplace_back(param(*model, std::string(stage) + ".router.topk"), std::vector<float>{3});
        params.emplace_back(param(*model, std::string(stage) + ".router.temperature"),
                            std::vector<float>{0.7f});
    }
    params.emplace_back(param(*model, "lm_head.router.topk"), std::vector<float>{3});
    const auto want = logits(*changed, tokens);
    QVERIFY(compare(logits(*model, tokens, false, params), want).relative() < 1e-5);
    QVERIFY(compare(logits(*model, tokens, true, params), want).relative() < 1e-5);
    QVERIFY(compare(logits(*model, tokens), want).relative() > 1e-2);
    // Balls so large that they hold everything are no balls; an empty one falls back to all keys.
    ergo::OpenOptions off;
    off.knobs["ball_mode"] = "off";
    const auto free = logits(*open(folder, off), tokens);
    for (const float radius : {1e6f, 0.0f}) {
        params.clear();
        for (const auto& each : model->tables()->params) {
            if (each.name.ends_with(".radius")) {
                params.emplace_back(param(*model, each.name), std::vector<float>(each.values.size(), radius));
            }
        }
        QCOMPARE(params.size(), std::size_t{6});
        QVERIFY(compare(logits(*model, tokens, true, params), free).relative() < 1e-5);
    }
}

void TestMoaModel::description() {
    const QTemporaryDir folder;
    write(folder, ergo::synthesise(request_for(cases()[0])));
    const auto model = open(folder);
    const auto& info = model->info();
    QCOMPARE(info.family, std::string("moa"));
    QCOMPARE(info.vocabulary, 61);
    QCOMPARE(info.context, 64);
    QCOMPARE(info.dtype, std::string("f32"));
    QCOMPARE(info.attentions.size(), std::size_t{6});
    QCOMPARE(info.routers.size(), std::size_t{4});
    std::int64_t sum = 0;
    for (const auto& [component, count] : info.components) {
        sum += count;
    }
    QCOMPARE(sum, info.parameters);
    for (const auto& site : info.attentions) { // every name a picker builds is an observable
        QVERIFY(ergo::find_observable(model->observables(), site.name("attention")) >= 0);
        QVERIFY(!site.label.empty() && site.heads > 0 && site.has_ball);
    }
    for (const auto& router : info.routers) {
        const auto at = ergo::find_observable(model->observables(), router.shares);
        QVERIFY(at >= 0);
        QCOMPARE(model->observables()[static_cast<std::size_t>(at)].shape.back(),
                 static_cast<std::int64_t>(router.paths.size()));
    }
}

void TestMoaModel::triples() {
    const auto ten = ergo::moa::triangle_triples(10);
    QCOMPARE(ten.size(), std::size_t{190});
    QVERIFY((ten[0] == std::array<std::int64_t, 3>{0, 6, 2}) &&
            (ten[3] == std::array<std::int64_t, 3>{6, 4, 3}));
    QVERIFY(ergo::moa::triangle_triples(2).empty());
    const std::vector<double> line{0, 1, 2, 3,
                                   4}; // on a line the squared form must violate, the metric cannot
    const auto four = ergo::moa::triangle_violation(line, 1, {}, "l2");
    QVERIFY(four[0] == 0 && four[2] > 0 && four[2] < 1 && four[3] > 0);
}

void TestMoaModel::half_weights_data() {
    QTest::addColumn<int>("type");
    QTest::newRow("bf16") << static_cast<int>(ergo::DType::bf16);
    QTest::newRow("f16") << static_cast<int>(ergo::DType::f16);
}

/// Half-precision weights give the logits of the same numbers widened to float32.
void TestMoaModel::half_weights() {
    QFETCH(int, type);
    auto request = request_for(cases()[0]);
    request.dtype = static_cast<ergo::DType>(type);
    auto made = ergo::synthesise(request);
    const QTemporaryDir narrow, wide;
    write(narrow, made);
    for (auto& [name, tensor] : made.tensors) {
        tensor = ergo::Tensor::from_floats(tensor.shape(), tensor.to_floats());
    }
    write(wide, made);
    const auto model = open(narrow);
    QCOMPARE(model->info().dtype, std::string(QTest::currentDataTag()));
    const auto tokens = tokens_of(0);
    QVERIFY(compare(logits(*model, tokens), logits(*open(wide), tokens)).relative() < 1e-5);
}

QTEST_GUILESS_MAIN(TestMoaModel)
#include "test_moa_model.moc"
