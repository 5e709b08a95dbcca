// SPDX-License-Identifier: GPL-3.0-or-later
// Expected tensor lists come from the reference definition (MoA specification §6.10), condensed to a hash of
// the lines "name [shape] role component".
#include "engine/checkpoint/deterministic.h"
#include "engine/checkpoint/fit.h"
#include "engine/checkpoint/schema.h"
#include "tests/checkpoint/support_files.h"

#include <QElapsedTimer>
#include <QFile>
#include <QJsonArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QTemporaryDir>
#include <QTest>

using namespace ergo;

namespace {

Value evaluate(const std::string& text, const Variables& variables = {}) {
    return Expression::parse(text).evaluate([&](const std::string& name) -> const Value* {
        const auto found = variables.find(name);
        return found == variables.end() ? nullptr : &found->second;
    });
}

QString shown(const std::string& text, const Variables& variables = {}) {
    try {
        return QString::fromStdString(to_string(evaluate(text, variables)));
    } catch (const Error& e) {
        return e.kind() == ErrorKind::format ? "malformed" : "mistake";
    }
}

Variables variables_of(const QJsonObject& object) {
    Variables variables;
    for (auto it = object.begin(); it != object.end(); ++it) {
        const std::string name = it.key().toStdString();
        if (it->isBool()) {
            variables[name] = it->toBool();
        } else if (it->isString()) {
            variables[name] = it->toString().toStdString();
        } else if (it->toDouble() == static_cast<double>(it->toInteger())) {
            variables[name] = static_cast<std::int64_t>(it->toInteger());
        } else {
            variables[name] = it->toDouble();
        }
    }
    return variables;
}

std::string fnv(const std::string& text) {
    std::uint64_t hash = 0xCBF29CE484222325u;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
    }
    return QString::number(hash, 16).rightJustified(16, '0').toStdString();
}

QString expand_code(const std::string& json, const Variables& variables = {}) {
    return code_of([&] { Schema::parse(json, "s.json").expand(variables); });
}

std::string schema_json(const std::string& tensors, const std::string& more = "") {
    return R"({"format":"ergosphere-schema","version":1,"name":"t","family":"f",)" + more + R"("tensors":)" +
           tensors + "}";
}

} // namespace

class TestSchema : public QObject {
    Q_OBJECT

  private slots:
    void evaluates_expressions() {
        const Variables v{{"dim", std::int64_t{12}},
                          {"heads", std::int64_t{4}},
                          {"mult", 1.5},
                          {"kind", "a b"},
                          {"on", true}};
        QCOMPARE(shown("dim / heads / 2", v), "1.5");
        QCOMPARE(shown("dim / heads", v), "3");
        QCOMPARE(shown("1 + 2 * 3 - -4"), "11");
        QCOMPARE(shown("10 - 2 - 3"), "5");
        QCOMPARE(shown("(1 + 2) * 3"), "9");
        QCOMPARE(shown("round(mult * dim)", v), "18");
        QCOMPARE(shown("round(0.5)"), "0");
        QCOMPARE(shown("round(1.5)"), "2");
        QCOMPARE(shown("round(2.5)"), "2");
        QCOMPARE(shown("round(0 - 1.5)"), "-2");
        QCOMPARE(shown("min(3, max(1, 2))"), "2");
        QCOMPARE(shown("kind == 'a b' && !(dim < 12) || false", v), "true");
        QCOMPARE(shown("on ? 1 : false ? 2 : 3", v), "1");
        QCOMPARE(shown("false ? 1 : false ? 2 : 3"), "3");
        QCOMPARE(shown("absent ?? other ?? 7 + 1"), "8");
        QCOMPARE(shown("(absent ?? dim) * 2", v), "24");
        QCOMPARE(shown("false && absent"), "false"); // the right side is not looked at
        QCOMPARE(shown("12 == 12.0"), "true");
        for (const char* text : {"", "1 +", "(1", "1 2", "'open", "1..2", "2.", "f(1)", "min(1)", "a ? b",
                                 "&& 1", "99999999999999999999", "#"}) {
            QCOMPARE(shown(text), "malformed");
        }
        QCOMPARE(shown(std::string(500, '(') + "1" + std::string(500, ')')), "malformed");
        QCOMPARE(shown(std::string(900, '-') + "1"), "malformed");
        for (const char* text :
             {"absent", "1 / 0", "1 / 0.0", "'a' + 1", "1 && true", "'a' < 'b'", "1 == 'a'", "!1",
              "9223372036854775807 + 0", "999999999999999999 * 999999999999999999", "1 ? 2 : 3"}) {
            QVERIFY2(shown(text) == "mistake" || shown(text) == "malformed", text);
        }
    }

    void expands_like_the_reference_data() {
        QTest::addColumn<QJsonObject>("wanted");
        QFile file(ERGO_TEST_DATA "/moa_tensor_lists.json");
        QVERIFY(file.open(QIODevice::ReadOnly));
        const QJsonArray all = QJsonDocument::fromJson(file.readAll()).array();
        QCOMPARE(all.size(), 19);
        for (const QJsonValue& one : all) {
            QTest::newRow(qPrintable(one["label"].toString())) << one.toObject();
        }
    }

    void expands_like_the_reference() {
        QFETCH(QJsonObject, wanted);
        const std::vector<Schema> schemas = builtin_schemas();
        const Schema& schema = find_schema(schemas, wanted["schema"].toString().toStdString());
        const auto tensors = schema.expand(variables_of(wanted["variables"].toObject()));
        std::string lines;
        std::map<std::string, std::int64_t> components;
        std::int64_t elements = 0;
        for (const SchemaTensor& t : tensors) {
            lines += t.name + " " + to_string(t.shape) + " " + t.role + " " + t.component + "\n";
            components[t.component] += element_count(t.shape);
            elements += element_count(t.shape);
        }
        QCOMPARE(static_cast<int>(tensors.size()), wanted["tensors"].toInt());
        QCOMPARE(elements, wanted["elements"].toInteger());
        for (const auto& [component, count] : components) {
            QCOMPARE(count, wanted["components"][QString::fromStdString(component)].toInteger());
        }
        QCOMPARE(QString::fromStdString(fnv(lines)), wanted["fnv"].toString());
    }

    void published_totals() {
        const auto schemas = builtin_schemas();
        const auto total = [&](const char* schema, const Variables& v) {
            std::int64_t sum = 0;
            for (const SchemaTensor& t : find_schema(schemas, schema).expand(v)) {
                sum += element_count(t.shape);
            }
            return sum;
        };
        // Discovery's published values are the defaults; DiscoverLM-70M differs in its head counts.
        QCOMPARE(total("moa-2026", {}), 70'569'408);
        const std::int64_t block = 64, head = 32;
        QCOMPARE(total("moa-2026", {{"attn_heads", block},
                                    {"mqa_q_heads", block},
                                    {"lm_attn_heads", head},
                                    {"lm_mqa_q_heads", head}}),
                 69'130'608);
        QVERIFY(find_schema(schemas, "moa-2025").knobs().contains("updown_mult"));
        QVERIFY(text_of([&] { find_schema(schemas, "nothing"); }).contains("moa-2025-rope"));
        // Knobs given by the caller win over the preset.
        QVERIFY(total("moa-2025", {}) != total("moa-2025", {{"hyperffn", std::string("none")}}));
    }

    void refuses_bad_schemas() {
        QCOMPARE(
            expand_code(schema_json(R"([{"name":"a","role":"r","shape":["n"]}])"), {{"n", std::int64_t{3}}}),
            "none");
        QCOMPARE(expand_code(schema_json(R"([{"name":"a","role":"r","shape":["n"]}])")), "SCHEMA-EXPRESSION");
        QCOMPARE(expand_code(schema_json(R"([{"name":"a","role":"r","shape":["3 / 2"]}])")),
                 "SCHEMA-EXPRESSION");
        QCOMPARE(expand_code(schema_json(R"([{"name":"a","role":"r","shape":["1 +"]}])")),
                 "SCHEMA-EXPRESSION");
        QCOMPARE(expand_code(schema_json(R"([{"name":"{x}","role":"r","shape":[]}])")), "SCHEMA-EXPRESSION");
        QCOMPARE(
            expand_code(schema_json(R"([{"name":"a","shape":[1]},{"name":"a","role":"r","shape":[1]}])")),
            "SCHEMA-FORMAT");
        QCOMPARE(expand_code(schema_json(R"([{"name":"a","role":"r"}])")), "SCHEMA-FORMAT");
        QCOMPARE(expand_code(schema_json(R"([{"nome":"a","shape":[]}])")), "SCHEMA-FORMAT");
        QCOMPARE(expand_code(schema_json(R"([{"group":"absent"}])")), "SCHEMA-FORMAT");
        QCOMPARE(expand_code(schema_json(R"([{"group":"g"}])", R"("groups":{"g":[{"group":"g"}]},)")),
                 "SCHEMA-SIZE");
        QCOMPARE(expand_code(schema_json(R"([{"for":{"l":99999999},"name":"{l}","role":"{l}","shape":[]}])")),
                 "SCHEMA-SIZE");
        QCOMPARE(expand_code(schema_json("[]", R"("choices":{"k":["x"]},"knobs":{"k":"y"},)")),
                 "SCHEMA-VALUE");
        QCOMPARE(expand_code(schema_json("[]", R"("choices":{"k":["x"]},"knobs":{"k":"x"},)")), "none");
        QCOMPARE(expand_code("{\"format\":\"ergosphere-schema\","), "F-JSON");
        QCOMPARE(expand_code("{}"), "SCHEMA-FORMAT");
        QCOMPARE(expand_code("[]"), "SCHEMA-FORMAT");
    }

    void user_schemas_replace_and_extend() {
        QTemporaryDir folder;
        const std::filesystem::path root = folder.path().toStdString();
        write_bytes(root / "b.json",
                    R"({"format":"ergosphere-schema","version":1,"name":"mine","family":"moa",)"
                    R"("extends":"base","knobs":{"n":4}})");
        write_bytes(root / "c.json",
                    R"({"format":"ergosphere-schema","version":1,"name":"base","family":"x",)"
                    R"("tensors":[{"name":"a","role":"r","shape":["n"]}]})");
        write_bytes(root / "d.json",
                    R"({"format":"ergosphere-schema","version":1,"name":"moa-2025","family":"x",)"
                    R"("extends":"moa-2026","knobs":{"num_layers":0,"lm_head":"linear"}})");
        const auto schemas = builtin_schemas(root);
        QCOMPARE(find_schema(schemas, "mine").expand({})[0].shape, Shape{4});
        QCOMPARE(find_schema(schemas, "moa-2025").family(), std::string("x"));
        QCOMPARE(find_schema(schemas, "moa-2025").expand({})[1].name,
                 std::string("model.hyper_ffn.norm.weight"));
        write_bytes(root / "e.json", "{");
        QCOMPARE(code_of([&] { builtin_schemas(root); }), "F-JSON");
        // Where faults are collected, the others are read all the same.
        write_bytes(root / "f.json", R"({"format":"ergosphere-schema","version":1,"name":"lost",)"
                                     R"("family":"moa","extends":"nobody"})");
        std::vector<Error> faulty;
        const auto others = builtin_schemas(root, &faulty);
        QCOMPARE(find_schema(others, "mine").expand({})[0].shape, Shape{4});
        QCOMPARE(others.size(), schemas.size());
        QCOMPARE(faulty.size(), std::size_t{2});
        QCOMPARE(faulty[0].where().file, std::string("e.json"));
        QCOMPARE(faulty[1].where().file, std::string("f.json"));
    }

    void reports_what_does_not_fit() {
        QTemporaryDir folder;
        const std::filesystem::path path = folder.filePath("model.safetensors").toStdString();
        const auto zeros = [](Shape shape) {
            return Tensor::from_floats(shape,
                                       std::vector<float>(static_cast<std::size_t>(element_count(shape))));
        };
        const auto bytes = std::make_shared<std::string>("12345678");
        write_safetensors(
            path, {{"layers.0.q.weight", zeros({2, 3})},
                   {"layers.0.k_weight", zeros({4, 3})},
                   {"layers.0.v.weight", zeros({3, 2})},
                   {"ids", Tensor(DType::i64, {1}, std::as_bytes(std::span(bytes->data(), 8)), bytes)}});
        const auto model = Checkpoint::open(path);
        const std::vector<SchemaTensor> claimed{{"layers.0.q.weight", {2, 3}, "q", ""},
                                                {"layers.0.k.weight", {4, 3}, "k", ""},
                                                {"layers.0.v.weight", {2, 3}, "v", ""},
                                                {"ids", {1}, "ids", ""}};
        const FitReport report = fit(claimed, *model);
        QVERIFY(!report.fits(true));
        QCOMPARE(report.missing.size(), 1u);
        QCOMPARE(report.missing[0].nearest.at(0), std::string("layers.0.k_weight"));
        QCOMPARE(report.unexpected.size(), 1u);
        QCOMPARE(report.unexpected[0].nearest.at(0), std::string("layers.0.k.weight"));
        QCOMPARE(report.misshaped[0].found, (Shape{3, 2}));
        QCOMPARE(report.unusable_dtype[0].stored_type, std::string("i64"));
        QCOMPARE(report.file_elements, 25);
        QCOMPARE(report.claimed_elements, 25);
        const QString text = QString::fromStdString(report.text());
        QVERIFY2(text.contains("expected [2, 3], found [3, 2]") && text.contains("Missing (1)"),
                 qPrintable(text));
        QCOMPARE(code_of([&] { RoleMap(claimed, *model); }), "M-MISSING");

        // Thousands of long names on both sides: the report comes without suggestions rather than late.
        std::vector<std::pair<std::string, Tensor>> many;
        std::vector<SchemaTensor> wanted;
        for (int i = 0; i < 5000; ++i) {
            const std::string name(150, static_cast<char>('a' + i % 26));
            many.emplace_back(name + std::to_string(i), Tensor::from_floats({0}, {}));
            wanted.push_back({std::to_string(i) + name, {1}, std::to_string(i), ""});
        }
        QElapsedTimer clock;
        clock.start();
        QCOMPARE(fit(wanted, *Checkpoint::from_tensors("", "", many)).missing.size(), std::size_t{5000});
        QVERIFY2(clock.elapsed() < 5000, QByteArray::number(clock.elapsed()));
        QCOMPARE(code_of([&] { RoleMap({claimed[2]}, *model, true); }), "M-SHAPE");
        QCOMPARE(code_of([&] { RoleMap({claimed[3]}, *model, true); }), "M-DTYPE");
        QCOMPARE(code_of([&] { RoleMap({claimed[0]}, *model); }), "M-EXTRA");
        const RoleMap roles({claimed[0]}, *model, true);
        QCOMPARE(roles.at("q").shape(), (Shape{2, 3}));
        QCOMPARE(roles.name("q"), std::string("layers.0.q.weight"));
        QVERIFY(roles.find("q") && !roles.find("k"));
        QCOMPARE(code_of([&] { roles.at("k"); }), "M-MISSING");
    }

    void reproducible_numbers() {
        const HashStream stream(0, "model.norm.weight");
        QCOMPARE(stream.integer(0), 816846u);
        QCOMPARE(stream.integer(1), 2312237u);
        QCOMPARE(stream.integer(2), 6745396u);
        QCOMPARE(stream.uniform(0), 816846.0 / 8388608.0 - 1.0);
        QVERIFY(HashStream(1, "model.norm.weight").integer(0) != 816846u);
        std::vector<float> values(3);
        fill_uniform(values, 0, "model.norm.weight", 0.5, 1.0);
        QCOMPARE(values[2], static_cast<float>(1.0 + 0.5 * (6745396.0 / 8388608.0 - 1.0)));
    }
};

QTEST_GUILESS_MAIN(TestSchema)
#include "test_schema.moc"
