// SPDX-License-Identifier: GPL-3.0-or-later
// config.json of Qwen2-class models: both spellings, defaults, refusals by name, knobs of the law.
#include "engine/base/error.h"
#include "engine/model/qwen2/config.h"
#include "engine/model/qwen2/law.h"
#include "engine/model/rotary.h"

#include <QTest>

#include <nlohmann/json.hpp>

#include <cmath>

using namespace ergo;
using Json = nlohmann::json;

namespace {

const Json plain{{"model_type", "qwen2"},       {"hidden_act", "silu"},      {"vocab_size", 97},
                 {"hidden_size", 32},           {"intermediate_size", 56},   {"num_hidden_layers", 3},
                 {"num_attention_heads", 4},    {"num_key_value_heads", 2},  {"rms_norm_eps", 1e-6},
                 {"rope_theta", 1000000.0},     {"torch_dtype", "bfloat16"}, {"tie_word_embeddings", true},
                 {"use_sliding_window", false}, {"sliding_window", 32768},   {"max_window_layers", 2}};

Json with(const char* key, const Json& value) {
    Json out = plain;
    if (value.is_discarded()) {
        out.erase(key);
    } else {
        out[key] = value;
    }
    return out;
}

const Json absent(nlohmann::detail::value_t::discarded);

} // namespace

class TestQwen2Config : public QObject {
    Q_OBJECT

  private slots:
    void spellings();
    void defaults();
    void refusals_data();
    void refusals();
    void published();
    void knobs();
    void rotation();
};

void TestQwen2Config::spellings() {
    const auto older = qwen2::Config::parse(plain.dump());
    QCOMPARE(older.rope_theta, 1e6);
    QCOMPARE(older.head_dim, 8);
    Json newer = with("rope_theta", absent);
    newer.erase("torch_dtype");
    newer["dtype"] = "bfloat16";
    newer["rope_parameters"] = {{"rope_theta", 5e5}, {"rope_type", "default"}};
    newer["layer_types"] = {"full_attention", "full_attention", "full_attention"};
    QCOMPARE(qwen2::Config::parse(newer.dump()).rope_theta, 5e5);
    newer["rope_theta"] = 10000;
    const auto both = qwen2::Config::parse(newer.dump());
    QCOMPARE(both.rope_theta, 5e5);
    QCOMPARE(both.warnings.size(), std::size_t{1});
    newer["rope_parameters"] = {{"full_attention", {{"rope_theta", 3e5}, {"rope_type", "default"}}}};
    QCOMPARE(qwen2::Config::parse(newer.dump()).rope_theta, 3e5);
    QCOMPARE(qwen2::Config::parse(with("rope_scaling", {{"type", "default"}}).dump()).rope_theta, 1e6);
}

void TestQwen2Config::defaults() {
    Json small = with("num_key_value_heads", absent);
    small.erase("tie_word_embeddings");
    small.erase("model_type");
    small["something_new"] = 3; // unknown keys do not matter
    const auto c = qwen2::Config::parse(small.dump());
    QCOMPARE(c.num_key_value_heads, 4);
    QVERIFY(!c.tie_word_embeddings);
    QCOMPARE(c.max_position_embeddings, 32768);
    QCOMPARE(qwen2::Config::parse(with("head_dim", 6).dump()).head_dim, 6);
    // a window that no layer uses
    Json unused = with("use_sliding_window", true);
    unused["max_window_layers"] = 3;
    QCOMPARE(qwen2::Config::parse(unused.dump()).num_hidden_layers, 3);
}

void TestQwen2Config::refusals_data() {
    QTest::addColumn<QByteArray>("json");
    QTest::addColumn<QString>("says");
    const auto row = [](const Json& config, const char* says) {
        QTest::newRow(says) << QByteArray::fromStdString(config.dump()) << QString(says);
    };
    QTest::newRow("no JSON") << QByteArray("{") << QString("JSON");
    row(with("hidden_size", absent), "\"hidden_size\" is missing");
    row(with("rope_theta", absent), "base of the rotation is missing");
    row(with("rms_norm_eps", absent), "\"rms_norm_eps\" is missing");
    row(with("vocab_size", "many"), "vocab_size must be a number");
    row(with("num_hidden_layers", 0), "num_hidden_layers must be an integer from 1 to 1024");
    row(with("num_hidden_layers", 2.5), "it is 2.5");
    row(with("intermediate_size", 1e300), "intermediate_size must be an integer");
    row(with("num_key_value_heads", 3), "does not divide into num_key_value_heads = 3");
    row(with("head_dim", 7), "head_dim = 7 is odd");
    row(with("hidden_size", 33), "hidden_size = 33 does not divide");
    row(with("rms_norm_eps", 0), "rms_norm_eps must lie between 0 and 1");
    row(with("rope_theta", 0.5), "rope_theta must be greater than 1");
    row(with("rope_scaling", {{"rope_type", "yarn"}, {"factor", 4}}), "rope_scaling.rope_type is \"yarn\"");
    row(with("rope_parameters", {{"rope_theta", 1e6}, {"rope_type", "dynamic"}}), "\"dynamic\"");
    row(with("hidden_act", "gelu"), "hidden_act is \"gelu\"");
    row(with("quantization_config", {{"quant_method", "gptq"}}), "quantization_config: \"gptq\"");
    row(with("use_sliding_window", true), "use_sliding_window is true");
    row(with("layer_types", {"full_attention", "sliding_attention", "full_attention"}),
        "\"sliding_attention\" for layer 1");
    row(with("layer_types", {"full_attention"}), "layer_types must list 3 layers");
    row(with("tie_word_embeddings", "yes"), "tie_word_embeddings must be true or false");
}

void TestQwen2Config::refusals() {
    QFETCH(QByteArray, json);
    QFETCH(QString, says);
    try {
        qwen2::Config::parse(std::string_view(json.constData(), static_cast<std::size_t>(json.size())));
        QFAIL("accepted");
    } catch (const Error& error) {
        QVERIFY2(QString(error.what()).contains(says), error.what());
        QCOMPARE(error.where().file, std::string("config.json"));
    }
}

void TestQwen2Config::published() {
    const auto c = qwen2::published_config("Gravity-2");
    const auto again = qwen2::Config::parse(c.published("bfloat16"));
    QCOMPARE(again.variables(), c.variables());
    QVERIFY(again.warnings.empty());
    QVERIFY_EXCEPTION_THROWN(qwen2::published_config("Gravity-3"), Error);
}

void TestQwen2Config::knobs() {
    qwen2::Law law;
    law.apply({{"attention", "standard"}, {"gravity_eps", "0.25"}, {"scale_mode", "\"qk\""}}, "settings");
    law.apply_json(R"({"clamp_distance": false, "mass_power": "plain", "gravity_eps": null})");
    const auto settings = law.settings();
    QCOMPARE(settings.at("knob.attention"), std::string("dot"));
    QCOMPARE(settings.at("knob.gravity_eps"), std::string("0.25"));
    QVERIFY(law.scale_mode == "qk" && !law.clamp_distance && law.mass_power == "plain");
    for (const auto& [knob, value] : {std::pair("attention", "softmax"),
                                      {"gravity_eps", "0"},
                                      {"gravity_eps", "nan"},
                                      {"clamp_distance", "1"},
                                      {"scale", "qk"}}) {
        QVERIFY_EXCEPTION_THROWN(qwen2::Law().apply({{knob, value}}, "settings"), Error);
    }
    QVERIFY_EXCEPTION_THROWN(qwen2::Law().apply_json("[]"), Error);
}

void TestQwen2Config::rotation() {
    const auto frequencies = rotary_frequencies(1e6, 128);
    QCOMPARE(frequencies.size(), std::size_t{64});
    QCOMPARE(frequencies[0], 1.0f);
    QCOMPARE(frequencies[32], 1.0f / 1000.0f);
    const auto tables = rotary_tables(1e6, 8, 3);
    const auto cosine = tables.cos.f32(), sine = tables.sin.f32();
    QCOMPARE(cosine[8], std::cos(1.0f));
    QCOMPARE(sine[2 * 8 + 4], std::sin(2.0f)); // the second half repeats the first
    QVERIFY_EXCEPTION_THROWN(rotary_tables(1e6, 128, std::int64_t{1} << 40), Error);
}

QTEST_GUILESS_MAIN(TestQwen2Config)
#include "test_qwen2_config.moc"
