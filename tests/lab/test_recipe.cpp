// SPDX-License-Identifier: GPL-3.0-or-later
// Recipes: read, written, refused; unknown keys kept.
#include "engine/base/error.h"
#include "engine/lab/recipe.h"

#include <QTest>

#include <nlohmann/json.hpp>

using namespace ergo;

namespace {

std::string refusal(const std::string& text, ErrorKind kind) {
    try {
        parse_recipe(text, "mine.json");
    } catch (const Error& error) {
        return error.kind() == kind ? error.what() : "another kind: " + std::string(error.what());
    }
    return "accepted";
}

std::string with(const std::string& members) {
    return R"({"format": "ergosphere-recipe", "version": 1, )" + members + "}";
}

} // namespace

class RecipeTest : public QObject {
    Q_OBJECT

  private slots:
    void read_and_written() {
        const Recipe recipe = parse_recipe(with(R"("set": ["layers.*.router.topk=1", "knob.phase=false"],
                    "sampling": {"temperature": 0.5, "top_k": 7, "seed": 18446744073709551615, "mirostat": 2},
                    "views": {"attention": [1, 2]}, "note": "keep me")"),
                                           "mine.json");
        QCOMPARE(recipe.set.size(), std::size_t{2});
        QCOMPARE(recipe.sampling.temperature, 0.5);
        QCOMPARE(recipe.sampling.top_k, 7);
        QCOMPARE(recipe.sampling.seed, UINT64_MAX);
        QCOMPARE(recipe.sampling.top_p, 1.0);
        Recipe changed = recipe;
        changed.sampling.top_p = 0.25;
        changed.set.push_back("layers.0.router.temperature*=2");
        const std::string text = write_recipe(changed);
        const auto json = nlohmann::json::parse(text);
        QVERIFY(json["note"] == "keep me" && json["views"]["attention"][1] == 2);
        QVERIFY(json["sampling"]["mirostat"] == 2 && json["sampling"]["top_p"] == 0.25);
        const Recipe again = parse_recipe(text, "mine.json");
        QCOMPARE(again.set, changed.set);
        QCOMPARE(again.sampling.seed, UINT64_MAX);
        QCOMPARE(write_recipe(again), text);
        QCOMPARE(parse_recipe(write_recipe({}), "x").set.size(), std::size_t{0});
    }

    void refused() {
        QVERIFY(refusal("[1", ErrorKind::format).find("JSON") != std::string::npos);
        QVERIFY(refusal("[]", ErrorKind::format).find("JSON") != std::string::npos);
        QVERIFY(refusal("{}", ErrorKind::format).find("format") != std::string::npos);
        QVERIFY(refusal(R"({"format": "ergosphere-recipe"})", ErrorKind::format).find("version") !=
                std::string::npos);
        const std::string newer =
            refusal(R"({"format": "ergosphere-recipe", "version": 2})", ErrorKind::unsupported);
        QVERIFY2(newer.find("version 2") != std::string::npos && newer.find("mine.json") != std::string::npos,
                 newer.c_str());
        QVERIFY(refusal(R"({"format": "ergosphere-recipe", "version": 99999999999999999999})",
                        ErrorKind::format) != "accepted");
        QVERIFY(refusal(with(R"("set": "x=1")"), ErrorKind::format).find("list") != std::string::npos);
        QVERIFY(refusal(with(R"("set": [1])"), ErrorKind::format).find("list") != std::string::npos);
        QVERIFY(refusal(with(R"("sampling": 3)"), ErrorKind::format).find("object") != std::string::npos);
        QVERIFY(refusal(with(R"("sampling": {"temperature": "hot"})"), ErrorKind::format).find("hot") !=
                std::string::npos);
        QVERIFY(refusal(with(R"("sampling": {"top_k": -1})"), ErrorKind::format).find("top_k") !=
                std::string::npos);
        QVERIFY(refusal(with(R"("sampling": {"top_k": 4294967296})"), ErrorKind::format).find("top_k") !=
                std::string::npos);
        QVERIFY(refusal(with(R"("sampling": {"top_p": 7})"), ErrorKind::usage).find("Top-p") !=
                std::string::npos);
    }

    void settings_are_sorted() {
        OpenOptions options;
        options.knobs["phase"] = "true";
        apply_settings({"knob.phase=false", "layers.*.router.topk=1", "x*=2"}, options);
        QCOMPARE(options.knobs.at("phase"), std::string("false"));
        QCOMPARE(options.interventions, (std::vector<std::string>{"layers.*.router.topk=1", "x*=2"}));
        QVERIFY_EXCEPTION_THROWN(apply_settings({"nothing"}, options), Error);
        QVERIFY_EXCEPTION_THROWN(apply_settings({"=1"}, options), Error);
    }
};

QTEST_GUILESS_MAIN(RecipeTest)
#include "test_recipe.moc"
