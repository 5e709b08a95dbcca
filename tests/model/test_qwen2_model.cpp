// SPDX-License-Identifier: GPL-3.0-or-later
// An opened Qwen2-class model: which law runs and why, what is refused, interventions, subscriptions, and the
// properties that hold for any weights.
#include "engine/base/error.h"
#include "engine/generate/session.h"
#include "engine/lab/trace.h"
#include "engine/model/qwen2/masses.h"
#include "support_qwen2.h"

#include <QTemporaryDir>
#include <QTest>

using namespace qwen2_test;
using ergo::Tensor;

namespace {

constexpr std::size_t gravity_case = 4, dot_case = 3, untied_case = 2; // among the stored cases

/// A folder with one case's checkpoint.
struct Folder {
    QTemporaryDir root;
    fs::path path;

    explicit Folder(std::size_t i, const std::string& where = "weights", const char* name = "model")
        : path(fs::path(root.path().toStdString()) / name) {
        write_case(cases()[i], path, where);
    }

    std::shared_ptr<const ergo::Model> open(const ergo::OpenOptions& options = {}) const {
        return qwen2_test::open(path, options);
    }
    std::string refusal(ergo::ErrorKind kind, const ergo::OpenOptions& options = {}) const {
        try {
            open(options);
        } catch (const ergo::Error& error) {
            return error.kind() == kind ? error.what() : "another kind: " + std::string(error.what());
        }
        return "accepted";
    }
    /// Rewrites the weights.
    template <class Change> void change(Change change) const {
        auto tensors = tensors_in(path);
        change(tensors);
        fs::remove(path / "model.safetensors");
        ergo::write_safetensors(path / "model.safetensors", tensors);
    }
};

std::vector<double> logits(const ergo::Model& model, const std::vector<std::int32_t>& tokens,
                           bool decode = false, int threads = 2) {
    return ergo::run_logits(model, *ergo::make_cpu_backend(threads), tokens, decode, {}, {}).to_doubles();
}

ergo::OpenOptions set(const std::string& change) {
    ergo::OpenOptions options;
    options.interventions.push_back(change);
    return options;
}

ergo::OpenOptions knob(const std::string& name, const std::string& value) {
    ergo::OpenOptions options;
    options.knobs[name] = value;
    return options;
}

bool says(const std::vector<std::string>& problems, const char* part) {
    return std::any_of(problems.begin(), problems.end(),
                       [&](const std::string& each) { return each.find(part) != std::string::npos; });
}

std::shared_ptr<const ergo::OpenedModel> opened(const fs::path& folder, int threads) {
    ergo::OpenModelOptions options;
    options.backend = "cpu";
    options.threads = threads;
    return ergo::open_all(folder.string(), options, {}, {});
}

} // namespace

class TestQwen2Model : public QObject {
    Q_OBJECT

  private slots:
    void verdicts();
    void schemas_of_ones_own();
    void dot_only_when_asked();
    void refusals();
    void heads_and_ties();
    void description();
    void interventions();
    void subscriptions();
    void context_limits();
    void same_bits_for_every_thread_count();
    void later_tokens_change_nothing_before();
    void rewind_is_a_fresh_run();
    void half_weights();
};

void TestQwen2Model::schemas_of_ones_own() {
    const Folder folder(dot_case, "none");
    QTemporaryDir own;
    Json schema = Json::parse(std::ifstream(ERGO_SOURCE_DIR "/resources/schemas/qwen2.json"));
    const std::string text = schema.dump();
    ergo::OpenOptions options;
    options.schemas = own.path().toStdString();
    QCOMPARE(folder.open(options)->info().parameters, folder.open()->info().parameters);
    // One of the same name takes the place of ours: this one calls the last norm otherwise.
    std::string renamed = text;
    renamed.replace(renamed.find("\"model.norm.weight\""), 19, "\"model.last_norm.weight\"");
    write_text(fs::path(options.schemas) / "mine.json", renamed);
    QVERIFY_EXCEPTION_THROWN(folder.open(options), ergo::Error);
    folder.change([](auto& tensors) {
        for (auto& [name, tensor] : tensors) {
            name = name == "model.norm.weight" ? "model.last_norm.weight" : name;
        }
    });
    QCOMPARE(folder.open(options)->info().variant, std::string("qwen2"));
    QVERIFY_EXCEPTION_THROWN(folder.open(), ergo::Error);
}

void TestQwen2Model::verdicts() {
    const Folder gravity(gravity_case), plain(dot_case, "none");
    const auto& first = gravity.open()->info();
    const auto model = gravity.open();
    QCOMPARE(model->info().family, std::string("gravity"));
    QVERIFY2(model->info().why.find("certain") == 0, model->info().why.c_str());
    QVERIFY(model->info().why.find("gravity_mass_log") != std::string::npos);
    QCOMPARE(plain.open()->info().family, std::string("qwen2"));
    QVERIFY(plain.open()->info().problems.empty());
    Q_UNUSED(first);
    // names decide, the configuration is a witness
    Json config = cases()[gravity_case]["config"];
    config["model_type"] = "llama";
    write_text(gravity.path / "config.json", config.dump());
    QCOMPARE(gravity.open()->info().family, std::string("gravity"));
    QVERIFY(says(gravity.open()->info().problems, "model_type \"llama\""));
    // a name that promises gravity
    const Folder named(gravity_case, "none", "My-Gravity-2");
    QVERIFY(named.refusal(ergo::ErrorKind::mismatch).find("the name says gravity") != std::string::npos);
    const auto insisted = named.open(knob("attention", "dot"));
    QVERIFY(says(insisted->info().problems, "the name says gravity"));
    QCOMPARE(insisted->info().settings.at("law"), std::string("dot"));
    QVERIFY(
        named.refusal(ergo::ErrorKind::mismatch, knob("attention", "gravity")).find("gravity_mass_log.pt") !=
        std::string::npos);
}

void TestQwen2Model::dot_only_when_asked() {
    const Folder folder(gravity_case);
    const auto asked = folder.open(knob("attention", "dot"));
    QVERIFY(says(asked->info().problems, "run under dot-product attention"));
    QCOMPARE(asked->info().family, std::string("gravity")); // what it is does not change
    QVERIFY(ergo::find_observable(asked->observables(), "layers.0.mass") < 0);
    const auto tokens = tokens_of(gravity_case);
    QVERIFY(relative(logits(*asked, tokens), logits(*folder.open(), tokens)) > 1e-2);
    // the same weights without masses are a plain model
    Folder plain(gravity_case);
    plain.change([](auto& tensors) {
        std::erase_if(tensors, [](const auto& each) { return ergo::qwen2::is_mass_name(each.first); });
    });
    QCOMPARE(logits(*plain.open(), tokens), logits(*asked, tokens));
    // semantics.json may ask as well, and the caller wins over it
    write_text(folder.path / "semantics.json", R"({"attention": "dot"})");
    QCOMPARE(folder.open()->info().settings.at("law"), std::string("dot"));
    QCOMPARE(folder.open(knob("attention", "gravity"))->info().settings.at("law"), std::string("gravity"));
}

void TestQwen2Model::refusals() {
    const auto refuse = [](ergo::ErrorKind kind, auto change) {
        const Folder folder(gravity_case);
        folder.change(change);
        return QString::fromStdString(folder.refusal(kind));
    };
    const auto extra = [](const char* name) {
        return [name](auto& tensors) { tensors.emplace_back(name, Tensor::from_floats({2}, {1, 2})); };
    };
    for (const char* adapter : {"model.layers.0.self_attn.q_proj.lora_A.default.weight",
                                "model.layers.0.self_attn.q_proj.base_layer.weight", "base_model.model.x"}) {
        const QString text = refuse(ergo::ErrorKind::unsupported, extra(adapter));
        QVERIFY2(text.contains("adapter") && text.contains(adapter), qPrintable(text));
    }
    QVERIFY(refuse(ergo::ErrorKind::mismatch, extra("model.layers.0.surprise")).contains("surprise"));
    QVERIFY(refuse(ergo::ErrorKind::mismatch, extra("model.layers.9.self_attn.gravity_mass_log"))
                .contains("layer 9"));
    QVERIFY(refuse(ergo::ErrorKind::mismatch, [](auto& tensors) {
                std::erase_if(tensors, [](const auto& each) { return each.first.ends_with("k_proj.bias"); });
            }).contains("model.layers.0.self_attn.k_proj.bias"));
    QVERIFY(refuse(ergo::ErrorKind::mismatch, [](auto& tensors) {
                for (auto& [name, tensor] : tensors) {
                    if (name == "model.norm.weight") {
                        tensor = Tensor::from_floats({3}, {1, 1, 1});
                    }
                }
            }).contains("found [3]"));
    const Folder folder(gravity_case);
    QVERIFY(folder.refusal(ergo::ErrorKind::usage, knob("ball_mode", "off")).find("no knob 'ball_mode'") !=
            std::string::npos);
    fs::remove(folder.path / "config.json");
    QVERIFY(folder.refusal(ergo::ErrorKind::mismatch).find("config.json") != std::string::npos);
}

void TestQwen2Model::heads_and_ties() {
    const Folder folder(gravity_case);
    const auto tokens = tokens_of(gravity_case);
    Json config = cases()[gravity_case]["config"];
    config["tie_word_embeddings"] = true;
    write_text(folder.path / "config.json", config.dump());
    folder.change([](auto& tensors) {
        std::erase_if(tensors, [](const auto& each) { return each.first == "lm_head.weight"; });
    });
    const auto tied = logits(*folder.open(), tokens);
    folder.change([](auto& tensors) { // a copy under another name, and a buffer nobody reads
        tensors.emplace_back("lm_head.weight", tensors.front().second);
        tensors.emplace_back("model.layers.0.self_attn.rotary_emb.inv_freq",
                             Tensor::from_floats({2}, {1, 1}));
        QCOMPARE(tensors.front().first, std::string("model.embed_tokens.weight"));
    });
    QVERIFY(folder.open()->info().problems.empty());
    QCOMPARE(logits(*folder.open(), tokens), tied);
    folder.change([](auto& tensors) {
        for (auto& [name, tensor] : tensors) {
            if (name == "lm_head.weight") {
                auto values = tensor.to_floats();
                values.back() += 1;
                tensor = Tensor::from_floats(tensor.shape(), values);
            }
        }
    });
    QVERIFY(says(folder.open()->info().problems, "lm_head.weight is stored and differs"));
    QVERIFY(relative(logits(*folder.open(), tokens), tied) > 1e-3);
    config.erase("tie_word_embeddings"); // then the stored tensor decides
    write_text(folder.path / "config.json", config.dump());
    QVERIFY(folder.open()->info().problems.empty());
    const Folder untied(untied_case);
    const auto model = untied.open();
    QVERIFY(std::any_of(model->info().components.begin(), model->info().components.end(),
                        [](const auto& line) { return line.first == "lm_head" && line.second > 0; }));
}

void TestQwen2Model::description() {
    const Folder folder(gravity_case);
    const auto model = folder.open();
    const auto& info = model->info();
    const Json& config = cases()[gravity_case]["config"];
    QCOMPARE(info.layers, config["num_hidden_layers"].get<std::int64_t>());
    QCOMPARE(info.vocabulary, config["vocab_size"].get<std::int64_t>());
    QCOMPARE(info.context, config["max_position_embeddings"].get<std::int64_t>());
    QCOMPARE(info.dtype, std::string("f32"));
    std::int64_t sum = 0;
    for (const auto& [component, count] : info.components) {
        sum += count;
    }
    QCOMPARE(sum, info.parameters);
    QCOMPARE(static_cast<std::int64_t>(info.attentions.size()), info.layers);
    for (const auto& site : info.attentions) {
        for (const char* quantity : {"attention", "distance", "mass", "entropy"}) {
            QVERIFY(ergo::find_observable(model->observables(), site.name(quantity)) >= 0);
        }
        QVERIFY(site.label.starts_with("layer ") && !site.has_ball && site.path < 0);
    }
}

void TestQwen2Model::interventions() {
    const Folder folder(gravity_case);
    const auto tokens = tokens_of(gravity_case);
    const auto base = logits(*folder.open(), tokens);
    QVERIFY(relative(logits(*folder.open(set("layers.0.mass[1]*=0.5")), tokens), base) > 1e-6);
    QVERIFY(relative(logits(*folder.open(set("layers.*.mask[0]=1")), tokens), base) > 1e-4);
    QCOMPARE(logits(*folder.open(set("layers.*.mass*=1")), tokens), base);
    QVERIFY(folder.refusal(ergo::ErrorKind::usage, set("layers.0.mass[99]=1")).find("[99]") !=
            std::string::npos);
    // without mass every visible key weighs the same
    ergo::TraceRequest request;
    request.tokens = tokens;
    request.observe = {"layers.0.attention", "layers.0.mass"};
    const auto model = folder.open(set("layers.0.mass=0"));
    const auto arrays = ergo::run_trace(*model, *ergo::make_cpu_backend(1), request, {}, {});
    const auto attention = arrays[2].second.to_doubles();
    const std::size_t n = tokens.size();
    for (std::size_t row = 0; row < attention.size() / n; ++row) {
        QVERIFY(std::abs(attention[row * n] * static_cast<double>(row % n + 1) - 1) < 1e-5);
    }
    QCOMPARE(arrays[3].second.to_doubles(),
             std::vector<double>(static_cast<std::size_t>(model->info().heads), 0.0));
}

void TestQwen2Model::subscriptions() {
    const Folder folder(gravity_case);
    const auto model = folder.open();
    const auto at = [&](const char* name) { return ergo::find_observable(model->observables(), name); };
    const auto attention = at("layers.0.attention"), distance = at("layers.0.distance");
    QVERIFY_EXCEPTION_THROWN(model->build({1, false, {{-1, {}}}}), ergo::Error);
    QVERIFY_EXCEPTION_THROWN(model->build({1, false, {{attention, {8}}}}), ergo::Error);
    QVERIFY_EXCEPTION_THROWN(model->build({0, false, {}}), ergo::Error);
    QCOMPARE(model->build({1, false, {{attention, {2}}, {distance, {2}}}}).outputs[1].buffer_heads,
             std::vector<std::int32_t>{2});
    QVERIFY(model->build({1, false, {{attention, {2}}, {distance, {3}}}}).outputs[0].buffer_heads.empty());
    // whatever is watched, the logits stay
    const auto tokens = tokens_of(gravity_case);
    const auto want = logits(*model, tokens);
    for (const char* watched : {"*.attention", "*.hidden", "*.norm", "layers.0.*", "*.entropy"}) {
        ergo::TraceRequest request;
        request.tokens = tokens;
        request.observe = {watched};
        const auto arrays = ergo::run_trace(*model, *ergo::make_cpu_backend(2), request, {}, {});
        QCOMPARE(arrays[1].second.to_doubles(), want);
    }
}

void TestQwen2Model::context_limits() {
    const Folder folder(gravity_case);
    ergo::OpenOptions options;
    options.context = 500;
    const auto model = folder.open(options);
    QCOMPARE(model->max_positions(), 500);
    QVERIFY(says(model->info().problems, "exceeds the model's own"));
    const auto tokens = tokens_of(gravity_case);
    QCOMPARE(logits(*model, tokens), logits(*folder.open(), tokens));
    options.context = -1;
    QVERIFY(folder.refusal(ergo::ErrorKind::usage, options).find("-1") != std::string::npos);
}

void TestQwen2Model::same_bits_for_every_thread_count() {
    for (const std::size_t i : {gravity_case, dot_case}) {
        const Folder folder(i, cases()[i]["masses"] == "none" ? "none" : "weights");
        const auto model = folder.open();
        const auto one = logits(*model, tokens_of(i), false, 1);
        QCOMPARE(logits(*model, tokens_of(i), false, 2), one);
        QCOMPARE(logits(*model, tokens_of(i), false, 5), one);
        QCOMPARE(logits(*model, tokens_of(i), true, 3), one); // the cache changes nothing either
    }
}

void TestQwen2Model::later_tokens_change_nothing_before() {
    const Folder folder(gravity_case);
    const auto model = folder.open();
    auto tokens = tokens_of(gravity_case);
    const auto before = logits(*model, tokens);
    const std::size_t half = tokens.size() / 2, width = before.size() / tokens.size();
    tokens[half] = (tokens[half] + 1) % static_cast<std::int32_t>(model->info().vocabulary);
    const auto after = logits(*model, tokens);
    const auto split = static_cast<std::ptrdiff_t>(half * width);
    QVERIFY(std::equal(before.begin(), before.begin() + split, after.begin()));
    QVERIFY(before[half * width] != after[half * width]);
}

void TestQwen2Model::rewind_is_a_fresh_run() {
    const Folder folder(gravity_case);
    const auto tokens = tokens_of(gravity_case);
    const auto model = opened(folder.path, 2);
    ergo::Session session(model), fresh(model);
    session.set_tokens(tokens, {}, {});
    session.rewind(5);
    for (std::size_t t = 5; t < 20; ++t) {
        session.decode(tokens[t], {});
    }
    fresh.set_tokens(std::span(tokens).first(5), {}, {});
    for (std::size_t t = 5; t < 20; ++t) {
        fresh.decode(tokens[t], {});
    }
    QVERIFY(std::equal(session.logits().begin(), session.logits().end(), fresh.logits().begin()));
}

/// Half-precision weights give the logits of the same numbers widened to float32.
void TestQwen2Model::half_weights() {
    for (const char* type : {"bf16", "f16"}) {
        const Folder folder(gravity_case);
        ergo::OpenOptions options;
        options.dtype = type;
        const auto tokens = tokens_of(gravity_case);
        const auto narrow = logits(*folder.open(options), tokens), wide = logits(*folder.open(), tokens);
        QVERIFY(relative(narrow, wide) < 0.05 && narrow != wide);
    }
}

QTEST_GUILESS_MAIN(TestQwen2Model)
#include "test_qwen2_model.moc"
