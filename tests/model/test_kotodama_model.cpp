// SPDX-License-Identifier: GPL-3.0-or-later
// An opened Kotodama model: what is told from shapes, what config.json may say and what is assumed; misfits;
// causality, rewinding, interventions; what is said about the model.
#include "engine/base/error.h"
#include "engine/checkpoint/schema.h"
#include "engine/generate/opened_model.h"
#include "engine/generate/sampler.h"
#include "engine/generate/session.h"
#include "engine/lab/trace.h"
#include "engine/model/kotodama/config.h"
#include "engine/model/kotodama/rope.h"
#include "support_kotodama.h"

#include <QTemporaryDir>
#include <QTest>

#include <bit>
#include <functional>

using namespace kotodama_test;

namespace {

std::filesystem::path path_of(const QTemporaryDir& folder) {
    return folder.path().toStdString();
}

std::shared_ptr<const ergo::Model> open(const QTemporaryDir& folder, const ergo::OpenOptions& options = {}) {
    return ergo::open_model(ergo::Checkpoint::open(path_of(folder)), options);
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

bool says(const std::string& text, const std::string& part) {
    if (text.find(part) == std::string::npos) {
        qWarning("\"%s\" is not in \"%s\"", part.c_str(), text.c_str());
        return false;
    }
    return true;
}

bool any_says(const std::vector<std::string>& texts, const char* part) {
    return std::any_of(texts.begin(), texts.end(),
                       [&](const std::string& text) { return text.find(part) != std::string::npos; });
}

std::vector<double> logits(const ergo::Model& model, const std::vector<std::int32_t>& tokens,
                           bool decode = false, const ergo::ParamValues& params = {}) {
    const auto backend = ergo::make_cpu_backend(2);
    return ergo::run_logits(model, *backend, tokens, decode, {}, {}, 0, params).to_doubles();
}

ergo::ParamId param(const ergo::Model& model, const std::string& name) {
    const auto at = ergo::find_observable(model.observables(), name);
    return at < 0 ? ergo::ParamId{} : model.param_of(model.observables()[static_cast<std::size_t>(at)]);
}

} // namespace

class TestKotodamaModel : public QObject {
    Q_OBJECT

  private slots:
    void published_model();
    void schemas_of_ones_own();
    void sizes_come_from_shapes();
    void published_boundaries_are_assumed_and_said();
    void other_depths_need_boundaries();
    void configuration_against_shapes_data();
    void configuration_against_shapes();
    void hostile_configurations_data();
    void hostile_configurations();
    void misfits();
    void plain_heads_and_untied_head();
    void context_limits();
    void trained_frequencies();
    void later_tokens_change_nothing_before();
    void rewind_then_replay_is_a_fresh_run();
    void the_last_row_alone();
    void interventions();
    void depth_interventions();
    void description();
    void half_weights_data();
    void half_weights();
    void base_model();
};

void TestKotodamaModel::schemas_of_ones_own() {
    const QTemporaryDir folder, own;
    write(path_of(folder), weights_of(cases()[0]["config"]));
    std::ifstream file(ERGO_SOURCE_DIR "/resources/schemas/kotodama.json");
    Json schema = Json::parse(file);
    ergo::OpenOptions options;
    options.schemas = own.path().toStdString();
    QVERIFY(open(folder, options)->info().parameters > 0);
    schema["tensors"].push_back(
        {{"name", "more.weight"}, {"role", "more"}, {"shape", {"hidden_size"}}, {"component", "more"}});
    std::ofstream(path_of(own) / "kotodama.json") << schema.dump();
    QVERIFY(says(refusal(folder, ergo::ErrorKind::mismatch, options), "more.weight"));
    QVERIFY(open(folder)->info().parameters > 0); // not asked for
}

void TestKotodamaModel::published_model() {
    const ergo::kotodama::Config config;
    const auto schemas = ergo::builtin_schemas();
    std::int64_t all = 0, routing = 0;
    const auto claimed = ergo::find_schema(schemas, "kotodama").expand(config.variables());
    for (const auto& tensor : claimed) {
        all += ergo::element_count(tensor.shape);
        routing += tensor.component == "depth_routing" ? ergo::element_count(tensor.shape) : 0;
    }
    QCOMPARE(claimed.size(), std::size_t{424});
    QCOMPARE(all, 107'835'904);
    QCOMPARE(routing, 58'368);
    const auto again = ergo::kotodama::parse_config(config.published());
    QCOMPARE(again.published(), config.published());
    QVERIFY(again.assumed.empty());
}

void TestKotodamaModel::sizes_come_from_shapes() {
    const QTemporaryDir folder;
    write(path_of(folder), weights_of(cases()[0]["config"]), false);
    std::ofstream(path_of(folder) / "config.json") << R"({"attn_res_boundaries": [4, 0, 2]})"; // any order
    const auto model = open(folder);
    const auto& settings = model->info().settings;
    for (const char* key : {"hidden_size", "num_layers", "num_attention_heads", "num_kv_heads", "head_dim",
                            "intermediate_size", "vocab_size"}) {
        QCOMPARE(settings.at(key), cases()[0]["config"][key].dump());
    }
    QCOMPARE(settings.at("attn_res_boundaries"), std::string("0, 2, 4"));
    QCOMPARE(settings.at("max_position_embeddings"), std::string("4096 (assumed)"));
    QVERIFY(says(model->info().why, "94 tensors") && says(model->info().why, "rope_theta"));
    const auto got = pick(logits(*model, tokens_of(0)), rows_of(0), 24);
    QVERIFY(relative(got, expected(0, "logits")) < 2e-4);
}

/// Case 12 has 28 layers with the published boundaries: a bare file computes the same.
void TestKotodamaModel::published_boundaries_are_assumed_and_said() {
    const QTemporaryDir folder;
    write(path_of(folder), weights_of(cases()[12]["config"]), false);
    const auto model = open(folder);
    QCOMPARE(model->info().settings.at("attn_res_boundaries"), std::string("0, 3, 7, 12, 21, 25 (assumed)"));
    QVERIFY(any_says(model->info().problems, "boundaries are not stored"));
    const auto got = pick(logits(*model, tokens_of(12)), rows_of(12), tokens_of(12).size());
    QVERIFY(relative(got, expected(12, "logits")) < 2e-4);
    // Told the same by hand nothing is assumed, and other boundaries are another model.
    ergo::OpenOptions options;
    options.knobs["attn_res_boundaries"] = "[0,3,7,12,21,25]";
    QVERIFY(!any_says(open(folder, options)->info().problems, "boundaries"));
    options.knobs["attn_res_boundaries"] = "[0,4,8,12,16,20,24]";
    const auto uniform = logits(*open(folder, options), tokens_of(12));
    QVERIFY(relative(uniform, logits(*model, tokens_of(12))) > 1e-2);
}

void TestKotodamaModel::other_depths_need_boundaries() {
    const QTemporaryDir folder;
    write(path_of(folder), weights_of(cases()[0]["config"]), false);
    const std::string text = refusal(folder, ergo::ErrorKind::mismatch);
    QVERIFY(says(text, "6 layers") && says(text, "attn_res_boundaries"));
    ergo::OpenOptions options;
    options.knobs["attn_res_boundaries"] = "[0,2,4]";
    QVERIFY(relative(pick(logits(*open(folder, options), tokens_of(0)), rows_of(0), 24),
                     expected(0, "logits")) < 2e-4);
    options.knobs["attn_res_boundaries"] = "zero";
    QVERIFY(says(refusal(folder, ergo::ErrorKind::usage, options), "not JSON"));
    options.knobs = {{"ball_mode", "\"off\""}};
    QVERIFY(says(refusal(folder, ergo::ErrorKind::usage, options), "ball_mode"));
}

void TestKotodamaModel::configuration_against_shapes_data() {
    QTest::addColumn<QString>("key");
    QTest::addColumn<int>("value");
    QTest::addColumn<QString>("tensor");
    QTest::newRow("hidden_size") << "hidden_size" << 65 << "embed_tokens.weight";
    QTest::newRow("vocab_size") << "vocab_size" << 98 << "embed_tokens.weight";
    QTest::newRow("head_dim") << "head_dim" << 32 << "q_norm.weight";
    QTest::newRow("num_attention_heads") << "num_attention_heads" << 8 << "q_proj.weight";
    QTest::newRow("num_kv_heads") << "num_kv_heads" << 4 << "k_proj.weight";
    QTest::newRow("intermediate_size") << "intermediate_size" << 95 << "gate_proj.weight";
    QTest::newRow("a layer more") << "num_layers" << 7
                                  << "layers.6.attn.q_proj.weight"; // the fit report lists it
    QTest::newRow("a layer less") << "num_layers" << 5 << "layers.5.attn.q_proj.weight";
}

void TestKotodamaModel::configuration_against_shapes() {
    QFETCH(QString, key);
    QFETCH(int, value);
    QFETCH(QString, tensor);
    const QTemporaryDir folder;
    auto made = weights_of(cases()[0]["config"]);
    Json config = Json::parse(made.config);
    config[key.toStdString()] = value;
    made.config = config.dump();
    write(path_of(folder), made);
    QVERIFY(says(refusal(folder, ergo::ErrorKind::mismatch), tensor.toStdString()));
}

void TestKotodamaModel::hostile_configurations_data() {
    QTest::addColumn<QString>("key");
    QTest::addColumn<QString>("value");
    const auto row = [](const char* key, const char* value) {
        QTest::addRow("%s %s", key, value) << key << value;
    };
    for (const char* value : {"0", "-3", "1e300", "2.5", "\"six\"", "[]", "true"}) {
        row("num_layers", value);
        row("hidden_size", value);
        row("max_position_embeddings", value);
    }
    for (const char* value : {"[0, 6]", "[-1]", "[0.5]", "\"0,2\"", "{\"a\": 1}", "[[0]]", "[1e300]", "7"}) {
        row("attn_res_boundaries", value);
    }
    row("rope_theta", "0");
    row("rope_theta", "\"big\"");
    row("norm_eps", "-1");
    row("attn_res", "0");
    row("qk_norm", "\"yes\"");
    row("tie_word_embeddings", "1");
}

void TestKotodamaModel::hostile_configurations() {
    QFETCH(QString, key);
    QFETCH(QString, value);
    const QTemporaryDir folder;
    auto made = weights_of(cases()[0]["config"]);
    Json config = Json::parse(made.config);
    config[key.toStdString()] = Json::parse(value.toStdString());
    made.config = config.dump();
    write(path_of(folder), made);
    QVERIFY(says(refusal(folder, ergo::ErrorKind::mismatch), key.toStdString()));
}

void TestKotodamaModel::misfits() {
    const auto original = weights_of(cases()[0]["config"]);
    const auto text_with = [&](const std::function<void(ergo::Synthetic&)>& spoil, ergo::ErrorKind kind) {
        auto made = original;
        spoil(made);
        const QTemporaryDir folder;
        write(path_of(folder), made);
        return refusal(folder, kind);
    };
    const auto at = [&](const std::string& name) {
        std::size_t i = 0;
        while (original.tensors[i].first != name) {
            ++i;
        }
        return i;
    };
    const auto erase = [&](const std::string& name) {
        return text_with([&](auto& m) { m.tensors.erase(m.tensors.begin() + std::ptrdiff_t(at(name))); },
                         ergo::ErrorKind::mismatch);
    };
    QVERIFY(says(erase("layers.3.mlp_res_norm.weight"), "layers.3.mlp_res_norm.weight"));
    QVERIFY(says(erase("layers.0.attn.q_proj.weight"), "layers.0.attn.q_proj.weight"));
    QVERIFY(says(erase("final_res_query"), "final_res_query"));
    const std::string shape = text_with(
        [&](auto& m) {
            m.tensors[at("layers.2.ffn.up_proj.weight")].second =
                ergo::Tensor::from_floats({95, 64}, std::vector<float>(95 * 64));
        },
        ergo::ErrorKind::mismatch);
    QVERIFY(says(shape, "[96, 64]") && says(shape, "[95, 64]"));
    QVERIFY(says(
        text_with(
            [](auto& m) { m.tensors.emplace_back("layers.0.surprise", ergo::Tensor::from_floats({1}, {1})); },
            ergo::ErrorKind::mismatch),
        "layers.0.surprise"));
    QVERIFY(says(text_with(
                     [](auto& m) {
                         Json config = Json::parse(m.config);
                         config["attn_res"] = false;
                         m.config = config.dump();
                     },
                     ergo::ErrorKind::unsupported),
                 "attn_res"));
    // A key nobody knows is said, not obeyed.
    auto odd = original;
    Json config = Json::parse(odd.config);
    config["attn_res_flavour"] = "lemon";
    odd.config = config.dump();
    const QTemporaryDir folder;
    write(path_of(folder), odd);
    QVERIFY(any_says(open(folder)->info().problems, "attn_res_flavour"));
}

/// Without QK-norm and with an output matrix of its own there are other tensors; the heads come from
/// config.json.
void TestKotodamaModel::plain_heads_and_untied_head() {
    Json config = cases()[3]["config"];
    config["qk_norm"] = false;
    config["tie_word_embeddings"] = false;
    const auto made = weights_of(config);
    const QTemporaryDir folder;
    write(path_of(folder), made);
    const auto model = open(folder);
    QVERIFY(relative(logits(*model, tokens_of(3)), expected(3, "logits")) > 1e-2);
    QVERIFY(relative(logits(*model, tokens_of(3), true), logits(*model, tokens_of(3))) < 1e-5);
    config.erase("head_dim");
    config.erase("tie_word_embeddings");
    std::ofstream(path_of(folder) / "config.json") << config.dump();
    QCOMPARE(open(folder)->info().settings.at("head_dim"), std::string("6"));
    QCOMPARE(open(folder)->info().settings.at("tie_word_embeddings"), std::string("false"));
    config.erase("num_attention_heads");
    std::ofstream(path_of(folder) / "config.json") << config.dump();
    QVERIFY(says(refusal(folder, ergo::ErrorKind::mismatch), "head_dim"));
}

/// Positions end where the model's do: there is no window and no shift.
void TestKotodamaModel::context_limits() {
    const QTemporaryDir folder;
    write(path_of(folder), weights_of(cases()[2]["config"])); // 200 positions, 200 tokens
    const auto model = open(folder);
    QCOMPARE(model->max_positions(), 200);
    auto tokens = tokens_of(2);
    tokens.push_back(0);
    QVERIFY_EXCEPTION_THROWN(logits(*model, tokens), ergo::Error);
    ergo::OpenOptions options;
    options.context = 201;
    QVERIFY(says(refusal(folder, ergo::ErrorKind::usage, options), "200"));
    options.context = -1;
    QVERIFY(says(refusal(folder, ergo::ErrorKind::usage, options), "-1"));
    options.context = 30;
    tokens.resize(30);
    QCOMPARE(logits(*open(folder, options), tokens), logits(*model, tokens));
}

void TestKotodamaModel::trained_frequencies() {
    const auto trained = ergo::kotodama::rotary_frequencies(128, 500000);
    QCOMPARE(trained.size(), std::size_t{64});
    QCOMPARE(std::bit_cast<std::uint32_t>(trained[1]), 0x3f508ac1u);
    QCOMPARE(std::bit_cast<std::uint32_t>(trained[63]), 0x3624c2ffu);
    for (std::size_t j = 0; j < trained.size(); ++j) { // within a unit in the last place of the exact power
        const auto exact = static_cast<float>(std::pow(500000.0, -static_cast<double>(j) / 64));
        const auto a = std::bit_cast<std::int32_t>(trained[j]), b = std::bit_cast<std::int32_t>(exact);
        QVERIFY(std::abs(a - b) <= 1);
    }
    const auto tables = ergo::kotodama::rotary_tables(4096, 128, 500000);
    const float angle = 4095.0f * trained[5]; // rounded before the cosine
    QCOMPARE(tables.cos[4095 * 128 + 5], static_cast<float>(std::cos(static_cast<double>(angle))));
    QCOMPARE(tables.sin[4095 * 128 + 69], static_cast<float>(std::sin(static_cast<double>(angle))));
}

void TestKotodamaModel::later_tokens_change_nothing_before() {
    for (const std::size_t i : {0, 3, 10}) {
        const QTemporaryDir folder;
        write(path_of(folder), weights_of(cases()[i]["config"]));
        const auto model = open(folder);
        auto tokens = tokens_of(i);
        const auto before = logits(*model, tokens);
        const std::size_t half = tokens.size() / 2, width = before.size() / tokens.size();
        tokens[half] = (tokens[half] + 1) % static_cast<std::int32_t>(width);
        const auto after = logits(*model, tokens);
        const auto split = static_cast<std::ptrdiff_t>(half * width);
        QVERIFY(std::equal(before.begin(), before.begin() + split, after.begin())); // bit for bit
        QVERIFY(!std::equal(before.begin() + split, before.end(), after.begin() + split));
    }
}

void TestKotodamaModel::rewind_then_replay_is_a_fresh_run() {
    const QTemporaryDir folder;
    write(path_of(folder), weights_of(cases()[13]["config"]));
    ergo::OpenModelOptions options;
    options.backend = "cpu";
    options.threads = 2;
    const auto opened = ergo::open_all(path_of(folder), options, {}, {});
    const auto tokens = tokens_of(13);
    const std::span<const std::int32_t> all(tokens), start = all.first(11);
    const auto run = [&](ergo::Session& session) {
        session.set_tokens(start, {}, {});
        std::vector<float> rows(session.logits().begin(), session.logits().end());
        for (const std::int32_t id : all.subspan(11)) {
            session.decode(id, {});
            rows.insert(rows.end(), session.logits().begin(), session.logits().end());
        }
        return rows;
    };
    ergo::Session fresh(opened), used(opened);
    const auto want = run(fresh);
    std::vector<std::int32_t> other(tokens.rbegin(), tokens.rend());
    used.set_tokens(other, {}, {});
    used.rewind(0);
    QVERIFY(run(used) == want);
    used.rewind(20); // decoding on from the middle gives the same rows again
    const std::size_t width = want.size() / (tokens.size() - 10);
    for (std::size_t t = 20; t < tokens.size(); ++t) {
        used.decode(tokens[t], {});
        const auto row = want.begin() + static_cast<std::ptrdiff_t>((t - 10) * width);
        QVERIFY(std::equal(used.logits().begin(), used.logits().end(), row));
    }
}

/// A session computes the head for the last token only; the number is that of the whole pass.
void TestKotodamaModel::the_last_row_alone() {
    const QTemporaryDir folder;
    write(path_of(folder), weights_of(cases()[9]["config"]));
    ergo::OpenModelOptions options;
    options.backend = "cpu";
    options.threads = 1;
    const auto opened = ergo::open_all(path_of(folder), options, {}, {});
    ergo::Session session(opened);
    session.set_tokens(tokens_of(9), {}, {});
    const auto all = logits(*opened->model, tokens_of(9));
    const std::vector<double> last(session.logits().begin(), session.logits().end());
    QVERIFY(relative(last, {all.end() - static_cast<std::ptrdiff_t>(last.size()), all.end()}) < 1e-6);
}

/// A silenced head is a head whose columns of the output matrix are 0.
void TestKotodamaModel::interventions() {
    const auto original = weights_of(cases()[0]["config"]);
    auto silenced = original;
    for (auto& [name, tensor] : silenced.tensors) {
        if (name == "layers.3.attn.o_proj.weight") {
            auto values = tensor.to_floats();
            for (std::size_t at = 0; at < values.size(); ++at) {
                values[at] = at % 64 / 16 == 2 ? 0 : values[at];
            }
            tensor = ergo::Tensor::from_floats(tensor.shape(), values);
        }
    }
    const QTemporaryDir folder, other;
    write(path_of(folder), original);
    write(path_of(other), silenced);
    ergo::OpenOptions options;
    options.interventions = {"layers.3.mask[2]=1"};
    const auto got = logits(*open(folder, options), tokens_of(0));
    QVERIFY(relative(got, logits(*open(other), tokens_of(0))) < 1e-6);
    QVERIFY(relative(got, logits(*open(folder), tokens_of(0))) > 1e-3);
    options.interventions = {"layers.3.mask[4]=1"};
    QVERIFY(says(refusal(folder, ergo::ErrorKind::usage, options), "4 elements"));
    options.interventions = {"layers.9.mask=1"};
    QVERIFY(says(refusal(folder, ergo::ErrorKind::usage, options), "layers.9"));
}

void TestKotodamaModel::depth_interventions() {
    const QTemporaryDir folder;
    write(path_of(folder), weights_of(cases()[0]["config"]));
    const auto model = open(folder);
    const auto backend = ergo::make_cpu_backend(2);
    const auto depth = [&](const ergo::ParamValues& params) {
        const ergo::TraceRequest request{.tokens = tokens_of(0), .observe = {"final.res.depth"}};
        return ergo::run_trace(*model, *backend, request, {}, {}, params).back().second.to_doubles();
    };
    const auto plain = depth({});
    const auto masked = depth({{param(*model, "final.res.keep"), {1, 1, 0, 1}}});
    const auto hot = depth({{param(*model, "final.res.temperature"), {1e6f}}});
    for (std::size_t at = 0; at < plain.size(); at += 4) { // the others keep their proportions
        QCOMPARE(masked[at + 2], 0.0);
        const double left = 1 - plain[at + 2];
        QVERIFY(std::abs(masked[at] * left - plain[at]) < 1e-5);
        QVERIFY(std::abs(hot[at] - 0.25) < 1e-4);
    }
    ergo::OpenOptions options;
    options.interventions = {"final.res.mask[2]=1"};
    QCOMPARE(logits(*open(folder, options), tokens_of(0)),
             logits(*model, tokens_of(0), false, {{param(*model, "final.res.keep"), {1, 1, 0, 1}}}));
}

void TestKotodamaModel::description() {
    const QTemporaryDir folder;
    write(path_of(folder), weights_of(cases()[0]["config"]));
    const auto model = open(folder);
    const auto& info = model->info();
    QCOMPARE(info.family, std::string("kotodama"));
    QCOMPARE(info.context, 128);
    QCOMPARE(info.dtype, std::string("f32"));
    QVERIFY(info.problems.empty() && info.routers.empty());
    QCOMPARE(info.attentions.size(), std::size_t{6});
    QCOMPARE(info.depths.size(), std::size_t{13});
    std::int64_t sum = 0;
    for (const auto& [component, count] : info.components) {
        sum += count;
    }
    QCOMPARE(sum, info.parameters);
    for (const auto& site : info.attentions) {
        QVERIFY(ergo::find_observable(model->observables(), site.name("attention")) >= 0);
        QVERIFY(!site.label.empty() && site.heads == 4 && !site.has_ball);
    }
    for (const auto& site : info.depths) {
        const auto at = ergo::find_observable(model->observables(), site.weights);
        QVERIFY(at >= 0 && !site.label.empty());
        QCOMPARE(model->observables()[static_cast<std::size_t>(at)].shape.back(), site.sources);
    }
    QCOMPARE(info.depths[5].label, std::string("layer 2 · MLP"));
    QCOMPARE(info.depths.back().layer, -1);
    QCOMPARE(info.depth_blocks.size(), std::size_t{4});
    QCOMPARE(info.depth_blocks[0].label, std::string("embedding"));
    QCOMPARE(info.depth_blocks[2].label, std::string("layers 2–3"));
    QVERIFY(info.depth_blocks[0].embedding && info.depth_blocks[3].first == 4 &&
            info.depth_blocks[3].last == 5);
    std::int64_t cached = 0;
    for (const auto& state : model->tables()->states) {
        cached += state.width;
    }
    QCOMPARE(cached, std::int64_t{6} * 2 * 2 * 16); // layers, keys and values, heads, width

    const QTemporaryDir inside; // 0 is no boundary: the embedding stays in the first sum
    write(path_of(inside), weights_of(cases()[10]["config"]));
    const auto blocks = open(inside)->info().depth_blocks;
    QCOMPARE(blocks[0].label, std::string("embedding and layers 0–1"));
    QCOMPARE(blocks[2].label, std::string("layer 4"));
}

void TestKotodamaModel::half_weights_data() {
    QTest::addColumn<int>("type");
    QTest::newRow("bf16") << static_cast<int>(ergo::DType::bf16);
    QTest::newRow("f16") << static_cast<int>(ergo::DType::f16);
}

void TestKotodamaModel::half_weights() {
    QFETCH(int, type);
    auto made = weights_of(cases()[0]["config"], static_cast<ergo::DType>(type));
    const QTemporaryDir narrow, wide;
    write(path_of(narrow), made);
    for (auto& [name, tensor] : made.tensors) {
        tensor = ergo::Tensor::from_floats(tensor.shape(), tensor.to_floats());
    }
    write(path_of(wide), made);
    const auto model = open(narrow);
    QCOMPARE(model->info().dtype, std::string(QTest::currentDataTag()));
    QVERIFY(relative(logits(*model, tokens_of(0)), logits(*open(wide), tokens_of(0))) < 1e-5);
    ergo::OpenOptions options;
    options.dtype = QTest::currentDataTag();
    const auto asked = logits(*open(wide, options), tokens_of(0));
    QCOMPARE(asked, logits(*open(narrow, options), tokens_of(0)));
    // asked for by name, a prompt's inputs may be rounded to 16 bits too: floats of bf16, or whole numbers
    const double close = type == static_cast<int>(ergo::DType::bf16) ? 2e-2 : 2e-3;
    QVERIFY(relative(asked, logits(*model, tokens_of(0))) < close);
    const std::vector token{tokens_of(0).front()}; // a token alone stays exact
    QCOMPARE(logits(*open(wide, options), token), logits(*model, token));
}

/// The vocabulary holds ChatML's markers, but the model never saw them; sampling as the card has it.
void TestKotodamaModel::base_model() {
    const QTemporaryDir folder;
    write(path_of(folder), weights_of(cases()[0]["config"]));
    QVERIFY(open(folder)->info().base_model);
    const auto presets = ergo::sampling_presets("kotodama");
    QCOMPARE(presets[0].params.temperature, 0.7);
    QCOMPARE(presets[0].params.top_p, 1.0);
    QCOMPARE(presets[0].params.top_k, 0);
}

QTEST_GUILESS_MAIN(TestKotodamaModel)
#include "test_kotodama_model.moc"
