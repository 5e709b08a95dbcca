// SPDX-License-Identifier: GPL-3.0-or-later
// config.json and knobs: aliases, defaults, refusals, hostile values; published parameter totals.
#include "engine/base/error.h"
#include "engine/checkpoint/schema.h"
#include "engine/model/moa/published.h"
#include "engine/model/moa/semantics.h"
#include "support_moa.h"

#include <QTest>

using ergo::ErrorKind;
using ergo::moa::Config;
using ergo::moa::Semantics;

namespace {

/// Kind and text of the error that `config` gives.
std::pair<ErrorKind, std::string> refusal(const std::string& config) {
    try {
        Config::parse(config);
    } catch (const ergo::Error& error) {
        return {error.kind(), error.what()};
    }
    return {ErrorKind::io, "accepted"};
}

} // namespace

class TestMoaConfig : public QObject {
    Q_OBJECT

  private slots:
    void aliases_and_defaults();
    void refused_keys();
    void hostile_values_data();
    void hostile_values();
    void published_round_trip();
    void knobs();
    void every_knob_refuses_nonsense();
    void published_totals_data();
    void published_totals();
};

void TestMoaConfig::aliases_and_defaults() {
    const Config c =
        Config::parse(R"({"hidden_size": 64, "dim": 32, "attn_heads": 4, "num_key_value_heads": 9,
                                       "attn_drop": 0.1, "intermediate_size": 50, "router_temperature": 2,
                                       "layer_scale_init_value": null, "window_size": null})");
    QCOMPARE(c.dim, 32);
    QCOMPARE(c.warnings.size(), std::size_t{2}); // hidden_size disagrees, num_key_value_heads differs
    QCOMPARE(c.mqa_q_heads, 4);
    QCOMPARE(c.lm_mqa_q_heads, 4);
    QCOMPARE(c.ffn_hidden, 50);
    QCOMPARE(c.lm_ffn_hidden, 50);
    QCOMPARE(c.lm_router_temperature, 2.0);
    QCOMPARE(c.router_topk, 4);
    QCOMPARE(c.max_seq_len_cached, 2048);
    QCOMPARE(c.layer_scale_init_value, 0.0);
    QVERIFY(!c.window_size);
    QCOMPARE(Config::parse("{}").layer_scale_init_value, 1e-4);
}

void TestMoaConfig::refused_keys() {
    for (const char* key : {"shared_kv_ratio", "router_bias_heads", "router_init_temperature"}) {
        const auto [kind, text] = refusal("{\"" + std::string(key) + "\": 1}");
        QCOMPARE(kind, ErrorKind::unsupported);
        QVERIFY(text.find(key) != std::string::npos);
    }
    const auto [kind, text] = refusal(R"({"brand_new_key": 1})");
    QCOMPARE(kind, ErrorKind::mismatch);
    QVERIFY(text.find("brand_new_key") != std::string::npos);
    QCOMPARE(refusal(R"({"model_type": "llama"})").first, ErrorKind::unsupported);
}

void TestMoaConfig::hostile_values_data() {
    QTest::addColumn<QString>("config");
    QTest::addColumn<QString>("named");
    const auto row = [](const char* config, const char* named) {
        QTest::newRow(config) << QString(config) << QString(named);
    };
    row(R"({"dim": 0})", "dim");
    row(R"({"dim": -32})", "dim");
    row(R"({"dim": 9223372036854775807})", "dim");
    row(R"({"dim": 1e300})", "dim");
    row(R"({"dim": 33})", "attn_heads");
    row(R"({"dim": "512"})", "dim");
    row(R"({"dim": 512.5})", "dim");
    row(R"({"dim": [512]})", "dim");
    row(R"({"dim": 48, "attn_heads": 16})", "attn_heads"); // heads of odd width
    row(R"({"attn_heads": 0})", "attn_heads");
    row(R"({"num_layers": 1000000000})", "num_layers");
    row(R"({"vocab_size": 0})", "vocab_size");
    row(R"({"conv_kernel": 0})", "conv_kernel");
    row(R"({"conv_mult": -2})", "conv_mult");
    row(R"({"r_basis": 15})", "r_basis");
    row(R"({"router_topk": 5})", "router_topk");
    row(R"({"router_temperature": 0})", "router_temperature");
    row(R"({"n_branches": 4})", "n_branches");
    row(R"({"metric": "manhattan"})", "metric");
    row(R"({"metric": 2})", "metric");
    row(R"({"use_balls": 1})", "use_balls");
    row(R"({"max_position_embeddings": 1e12})", "max_position_embeddings");
    row(R"({"window_size": -1})", "window_size");
    row("[]", "JSON");
    row("", "JSON");
    row(R"({"dim": )", "JSON");
}

void TestMoaConfig::hostile_values() {
    QFETCH(QString, config);
    QFETCH(QString, named);
    const auto [kind, text] = refusal(config.toStdString());
    QVERIFY2(kind == ErrorKind::mismatch || kind == ErrorKind::format, text.c_str());
    QVERIFY2(QString::fromStdString(text).contains(named), text.c_str());
}

void TestMoaConfig::published_round_trip() {
    for (const ergo::moa::Published& model : ergo::moa::published()) {
        const Config& c = model.config;
        const Config back = Config::parse(c.published());
        QVERIFY(back.warnings.empty());
        QCOMPARE(back.published(), c.published());
    }
    const Config large = ergo::moa::published("MoA-100M").config;
    const std::string odd = ergo::moa::published_oddity(large, 325'003'956);
    QVERIFY(odd.find("185 M") != std::string::npos && odd.find("unexplained") != std::string::npos);
    QVERIFY(ergo::moa::published_oddity(large, 325'003'955).empty());
    QVERIFY(ergo::moa::published_oddity(ergo::moa::published("Discovery").config, 325'003'956).empty());
    QVERIFY_EXCEPTION_THROWN(ergo::moa::published("MoA-1B"), ergo::Error);
}

void TestMoaConfig::knobs() {
    Semantics s;
    s.apply(ergo::moa::parse_knobs({{"alpha_map", "exp"}, {"hyper_topk", "3"}, {"updown_mult", "1.5"}}),
            "settings");
    QCOMPARE(s.alpha_map, std::string("exp"));
    QCOMPARE(s.hyper_topk, 3);
    QCOMPARE(s.updown_mult.value(), 1.5);
    Semantics back;
    back.apply(ergo::moa::parse_knobs(s.json(), "semantics.json"), "semantics.json");
    QVERIFY(back == s);
    try {
        s.apply({{"score_scale", std::string("sqrt")}}, "settings");
        QFAIL("accepted");
    } catch (const ergo::Error& error) {
        QCOMPARE(error.kind(), ErrorKind::usage);
        QCOMPARE(error.message(),
                 std::string("settings: knob score_scale is 'sqrt'; allowed: inv_sqrt_d, one"));
    }
    Semantics cosine;
    cosine.ball_metric = "metric";
    QVERIFY_EXCEPTION_THROWN(cosine.validate(Config::parse(R"({"metric": "cosine"})")), ergo::Error);
    QVERIFY_EXCEPTION_THROWN(s.apply({{"no_such_knob", true}}, "settings"), ergo::Error);
    QVERIFY_EXCEPTION_THROWN(ergo::moa::parse_knobs("[1]", "semantics.json"), ergo::Error);
    QVERIFY_EXCEPTION_THROWN(ergo::moa::parse_knobs(R"({"phase": {}})", "semantics.json"), ergo::Error);
}

void TestMoaConfig::every_knob_refuses_nonsense() {
    for (const auto& [name, value] : moa_test::cases()[0]["semantics"].items()) {
        Semantics s;
        QVERIFY_EXCEPTION_THROWN(s.apply({{name, std::string("nonsense")}}, "settings"), ergo::Error);
        QVERIFY_EXCEPTION_THROWN(s.apply({{name, -1e300}}, "settings"), ergo::Error);
        for (const std::string& choice : ergo::moa::knob_choices(name)) {
            s.apply({{name, choice}}, "settings");
        }
    }
}

void TestMoaConfig::published_totals_data() {
    QTest::addColumn<QString>("schema");
    QTest::addColumn<qlonglong>("total");
    QTest::newRow("DiscoverLM-70M") << "moa-2026" << qlonglong{69130608};
    QTest::newRow("Discovery") << "moa-2026" << qlonglong{70569408};
    QTest::newRow("Discovered") << "moa-2026" << qlonglong{71666251};
    QTest::newRow("MoA-100M") << "moa-2025" << qlonglong{325003956};
    // Guessed shapes: 4 bytes a number leave 0.1 to 0.3 MB of the published files for their own tables.
    QTest::newRow("MoA-150M") << "moa-2025-rope" << qlonglong{155940075};
    QTest::newRow("MoA-155M") << "moa-2025" << qlonglong{91536221};
    QTest::newRow("MoA-400M") << "moa-2025-rope" << qlonglong{427408820};
}

void TestMoaConfig::published_totals() {
    QFETCH(QString, schema);
    QFETCH(qlonglong, total);
    const auto schemas = ergo::builtin_schemas();
    const auto& found = ergo::find_schema(schemas, schema.toStdString());
    Semantics s;
    s.apply(found.knobs(), "schema");
    auto variables = ergo::moa::published(QTest::currentDataTag()).config.variables();
    variables.merge(s.variables());
    qlonglong sum = 0;
    for (const auto& tensor : found.expand(variables)) {
        sum += ergo::element_count(tensor.shape);
    }
    QCOMPARE(sum, total);
    const ergo::moa::Published& model = ergo::moa::published(QTest::currentDataTag());
    QCOMPARE(model.schema, schema.toStdString());
    QVERIFY(model.parameters == 0 || model.parameters == total);
}

QTEST_GUILESS_MAIN(TestMoaConfig)
#include "test_moa_config.moc"
