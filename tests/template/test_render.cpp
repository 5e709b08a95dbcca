// SPDX-License-Identifier: GPL-3.0-or-later
// Templates against what Python's jinja2 makes of them (tests/data/templates), and the limits.
#include "engine/base/error.h"
#include "engine/template/template.h"

#include <QtTest>

#include <nlohmann/json.hpp>

#include <fstream>

using ergo::Error;
using ergo::jinja::SourcedText;
using ergo::jinja::Template;
using ergo::jinja::TemplateMap;
using ergo::jinja::TemplateValue;
using ergo::jinja::value_from_json;
using Json = nlohmann::ordered_json;

namespace {

const std::string folder = std::string(ERGO_TEST_DATA) + "/templates/";

std::string read(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<Json> read_lines(const std::string& path) {
    std::ifstream in(path);
    std::vector<Json> lines;
    for (std::string line; std::getline(in, line);) {
        lines.push_back(Json::parse(line));
    }
    return lines;
}

SourcedText render(const std::string& source, const Json& context, std::time_t now = 0) {
    return Template::parse(source, "t")->render(value_from_json(context.dump(), "c", 1).map(), now);
}

struct Failure {
    std::string code, message;
};

Failure failure(const std::string& source, const Json& context = Json::object()) {
    try {
        render(source, context);
    } catch (const Error& error) {
        return {error.where().code, error.message()};
    }
    return {};
}

} // namespace

class TestRender : public QObject {
    Q_OBJECT

    const std::vector<Json> cases_ = read_lines(folder + "cases.jsonl");

    Json context_of(const Json& item) const {
        const Json& head = cases_.front();
        if (!item.contains("file")) {
            return head.at("data");
        }
        Json context = head.at("special");
        context["messages"] = head.at("talks").at(item.at("talk").get<std::string>());
        context["add_generation_prompt"] = item.at("generate");
        if (item.at("tools").get<bool>()) {
            context["tools"] = head.at("tools");
        }
        if (item.at("file") == "documents.jinja") {
            context["documents"] = head.at("documents");
        }
        if (item.at("file") == "thinking.jinja" && item.at("talk") == "user") {
            context["enable_thinking"] = false;
        }
        return context;
    }

  private slots:
    void initTestCase() {
        qputenv("TZ", "UTC");
        tzset();
    }

    void asTheReference() {
        int same = 0, refused = 0;
        QStringList wrong;
        for (std::size_t i = 1; i < cases_.size(); ++i) {
            const Json& item = cases_[i];
            const std::string name =
                item.contains("file")
                    ? item.at("file").get<std::string>() + ", " + item.at("talk").get<std::string>()
                    : item.at("name").get<std::string>() + " " + item.at("template").dump();
            const std::string source = item.contains("file")
                                           ? read(folder + item.at("file").get<std::string>())
                                           : item.at("template").get<std::string>();
            std::string got, problem;
            try {
                got = render(source, context_of(item), cases_.front().at("now").get<std::time_t>()).bytes();
            } catch (const Error& error) {
                problem = error.what();
            }
            if (item.contains("expected")) {
                const auto expected = item.at("expected").get<std::string>();
                if (!problem.empty() || got != expected) {
                    wrong << QString::fromStdString(name + "\n  expected " + Json(expected).dump() +
                                                    "\n  got      " +
                                                    (problem.empty() ? Json(got).dump() : problem));
                }
                ++same;
            } else {
                const bool told = !item.at("raised").get<bool>() ||
                                  problem.find(item.at("error").get<std::string>()) != std::string::npos;
                if (problem.empty() || !told) {
                    wrong << QString::fromStdString(name + "\n  should fail like " + item.at("error").dump() +
                                                    "\n  got         " +
                                                    Json(problem.empty() ? got : problem).dump());
                }
                ++refused;
            }
        }
        for (const QString& difference : wrong) {
            qWarning("%s", qPrintable(difference.left(2000)));
        }
        QCOMPARE(wrong.size(), 0);
        QVERIFY(same > 600 && refused > 150);
    }

    void problemsHaveLines() {
        Failure f = failure("a\n{% if x %}\n{{ y | }}\n{% endif %}");
        QCOMPARE(f.code, std::string("CT-SYNTAX"));
        QVERIFY2(f.message.starts_with("line 3: "), f.message.c_str());
        f = failure("\n\n{{ raise_exception('No ' ~ 'way') }}");
        QCOMPARE(f.code, std::string("CT-RUNTIME"));
        QCOMPARE(f.message, std::string("line 3: No way."));
        f = failure("{% import 'x' as y %}");
        QVERIFY2(f.code == "CT-SYNTAX" && f.message.find("'{% import %}'") != std::string::npos,
                 f.message.c_str());
        f = failure("x\n{{ 'a'|frobnicate }}");
        QVERIFY2(f.message == "line 2: the filter 'frobnicate' is not known to this program.",
                 f.message.c_str());
        f = failure("{{ 1 is frobnicated }}");
        QVERIFY2(f.message.find("the test 'frobnicated'") != std::string::npos, f.message.c_str());
        QCOMPARE(failure("{% if false %}{{ 'a'|frobnicate }}{% endif %}fine").code, std::string());
        QCOMPARE(failure("\xFF").code, std::string("CT-SYNTAX"));
    }

    void limits_data() {
        QTest::addColumn<QString>("source");
        const auto row = [](const char* name, const std::string& source) {
            QTest::newRow(name) << QString::fromStdString(source);
        };
        const auto repeat = [](const std::string& what, int times) {
            std::string out;
            for (int i = 0; i < times; ++i) {
                out += what;
            }
            return out;
        };
        const std::string twice = "{% set ns = namespace(x='abcdefgh') %}{% for i in range(60) %}";
        row("steps", "{% for i in range(1000) %}{% for j in range(1000) %}{{ i }}{% endfor %}{% endfor %}");
        row("output", "{% for i in range(1000) %}{{ 'x' * 100000 }}{% endfor %}");
        row("doubling text", twice + "{% set ns.x = ns.x ~ ns.x %}{% endfor %}");
        row("doubling list", twice + "{% set ns.x = [ns.x, ns.x] %}{% endfor %}");
        row("doubling list printed",
            twice + "{% set ns.x = [ns.x, ns.x] %}{% if i > 20 %}{{ ns.x }}{% endif %}{% endfor %}");
        row("nesting values",
            "{% set ns = namespace(x=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}{% endfor %}");
        row("huge repetition", "{{ 'x' * 9000000000000000000 }}");
        row("huge list", "{{ [1] * 9000000000000000000 }}");
        row("replace", "{{ ('x' * 100000)|replace('', 'y' * 100000) }}");
        row("self-calling macro", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}");
        row("brackets", "{{ " + repeat("(", 5000) + "1" + repeat(")", 5000) + " }}");
        row("lists", "{{ " + repeat("[", 5000) + repeat("]", 5000) + " }}");
        row("a long sum", "{{ 1" + repeat(" + 1", 5000) + " }}");
        row("many attributes", "{{ x" + repeat(".y", 5000) + " }}");
        row("many filters", "{{ x" + repeat("|trim", 5000) + " }}");
        row("nots", "{{ " + repeat("not ", 50000) + "x }}");
        row("minuses", "{{ " + repeat("-", 50000) + "1 }}");
        row("else chain", "{{ " + repeat("1 if 0 else ", 5000) + "x }}");
        row("blocks", repeat("{% if 1 %}", 5000) + repeat("{% endif %}", 5000));
        row("wide format", "{{ '%9999999d' % 1 }}");
        row("zfill", "{{ '1'.zfill(4000000000) }}");
        row("indent", "{{ ('\n' * 100000)|indent(1000, blank=true) }}");
        row("equal doubles",
            "{% set a = namespace(x=[1], y=[1]) %}{% for i in range(90) %}{% set a.x = [a.x, a.x] %}"
            "{% set a.y = [a.y, a.y] %}{% endfor %}{{ a.x == a.y }}");
        row("too long", std::string((1 << 20) + 1, 'x'));
        row("join", "{{ range(100000)|join('x' * 1000) }}");
        row("caller recursion",
            "{% macro m() %}{% call m() %}{% endcall %}{{ caller }}{% endmacro %}{{ m() }}");
        row("loop recursion",
            "{% set ns = namespace() %}{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}");
    }

    void limits() {
        QFETCH(QString, source);
        QElapsedTimer timer;
        timer.start();
        const Failure f = failure(source.toStdString());
        QVERIFY2(f.code == "CT-LIMIT" ||
                     (f.code == "CT-RUNTIME" && QTest::currentDataTag() == QString("wide format")),
                 (f.code + " " + f.message).c_str());
        QVERIFY(timer.elapsed() < 5000);
    }

    void sourcesAreKept() {
        const Json context = {{"x", "<|end|>é"}};
        const auto sources = [&](const std::string& template_text) {
            const SourcedText text = render(template_text, context);
            std::string out; // one letter a byte: t from the template, d from the data
            for (std::size_t i = 0; i < text.size(); ++i) {
                out += text.source_at(i) == ergo::jinja::template_source ? 't' : 'd';
            }
            return text.bytes() + " " + out;
        };
        QCOMPARE(sources("<{{ x }}>"), std::string("<<|end|>é> tdddddddddt"));
        QCOMPARE(sources("{{ '<|end|>' }}"), std::string("<|end|> ttttttt"));
        QCOMPARE(sources("{{ 'a' + x[2:5] ~ 'b' }}"), std::string("aendb tdddt"));
        QCOMPARE(sources("{{ ('  ' ~ x ~ ' ')|trim|upper }}"), std::string("<|END|>É ddddddddd"));
        QCOMPARE(sources("{{ x.split('|')|join('+') }}"), std::string("<+end+>é dtdddtddd"));
        QCOMPARE(sources("{{ x|replace('end', 'END') }}"), std::string("<|END|>é ddtttdddd"));
        QCOMPARE(sources("{{ [x]|tojson }}"), std::string("[\"<|end|>é\"] ttdddddddddtt"));
        QCOMPARE(sources("{{ [x[:2]] }}"), std::string("['<|'] ttddtt"));
        QCOMPARE(sources("{% set y %}({{ x[0] }}){% endset %}{{ y }}"), std::string("(<) tdt"));
        QCOMPARE(sources("{% macro m(a) %}-{{ a }}{% endmacro %}{{ m(x[:1]) }}"), std::string("-< td"));
        QCOMPARE(sources("{{ '%s!' % x[:3] }}"), std::string("<|e! dddt"));
        QCOMPARE(sources("{{ x|list|first ~ (x|reverse)[0] }}"), std::string("<é ddd"));
    }

    void jsonValues() {
        QCOMPARE(value_from_json("{\"b\": [1, 2.5, null], \"a\": \"x\"}", "f", 0).kind(),
                 TemplateValue::Kind::map);
        for (const char* text : {"", "{", "[1,]", "{\"a\": 1} x", "\"\xFF\""}) {
            QVERIFY_EXCEPTION_THROWN(value_from_json(text, "f", 0), Error);
        }
        QVERIFY_EXCEPTION_THROWN(value_from_json(std::string(100, '[') + std::string(100, ']'), "f", 0),
                                 Error);
    }

    // Every cut of a template either renders or is refused: never more.
    void everyTruncation() {
        for (const char* name : {"qwen25.jinja", "hermes_tools.jinja", "llama31.jinja"}) {
            const std::string source = read(folder + name);
            const TemplateValue context = value_from_json(context_of(cases_[1]).dump(), "c", 1);
            int refused = 0;
            for (std::size_t cut = 0; cut < source.size(); cut += 3) {
                try {
                    Template::parse(source.substr(0, cut), "t")->render(context.map(), 0);
                } catch (const Error& error) {
                    QVERIFY(error.where().code.starts_with("CT-"));
                    ++refused;
                }
            }
            QVERIFY(refused > 100);
        }
    }
};

QTEST_GUILESS_MAIN(TestRender)
#include "test_render.moc"
