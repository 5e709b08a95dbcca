// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/recipe.h"

#include "engine/base/error.h"
#include "engine/base/strict_json.h"

#include <nlohmann/json.hpp>

#include <cmath>
#include <limits>

namespace ergo {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* format_name = "ergosphere-recipe";
constexpr std::int64_t newest_version = 1;

[[noreturn]] void refuse(ErrorKind kind, const std::string& sentence, const std::string& file,
                         const std::string& advice = {}) {
    throw Error(kind, sentence, {.code = "RECIPE", .file = file, .advice = advice});
}

void check_header(const Json& json, const std::string& file) {
    const auto format = json.find("format");
    if (format == json.end() || *format != format_name) {
        refuse(ErrorKind::format,
               "This is no recipe: \"format\" is not \"" + std::string(format_name) + "\".", file);
    }
    const auto version = json.find("version");
    if (version == json.end() || !version->is_number_integer() || version->get<std::int64_t>() < 1) {
        refuse(ErrorKind::format, "The recipe has no version.", file);
    }
    if (version->is_number_unsigned() ? version->get<std::uint64_t>() > newest_version
                                      : version->get<std::int64_t>() > newest_version) {
        refuse(ErrorKind::unsupported,
               "The recipe has version " + version->dump() + "; this program reads version " +
                   std::to_string(newest_version) + ".",
               file, "Update the program.");
    }
}

/// Calls visit(key, member) for every value of the sampling.
template <class Params, class Visit> void each_value(Params& p, Visit&& visit) {
    visit("temperature", p.temperature);
    visit("top_k", p.top_k);
    visit("top_p", p.top_p);
    visit("min_p", p.min_p);
    visit("repeat_penalty", p.repeat_penalty);
    visit("repeat_window", p.repeat_window);
    visit("seed", p.seed);
}

struct Setter {
    const Json& json;
    const std::string& file;

    void operator()(const char* key, double& member) const {
        if (const Json* value = find(key)) {
            if (!value->is_number()) {
                wrong(key, *value, "a number");
            }
            member = value->get<double>();
        }
    }
    template <class Integer> void operator()(const char* key, Integer& member) const {
        if (const Json* value = find(key)) {
            const bool fits = value->is_number_unsigned() &&
                              value->get<std::uint64_t>() <=
                                  static_cast<std::uint64_t>(std::numeric_limits<Integer>::max());
            if (!fits) {
                wrong(key, *value, "a whole number that is not negative");
            }
            member = value->get<Integer>();
        }
    }
    const Json* find(const char* key) const {
        const auto found = json.find(key);
        return found == json.end() ? nullptr : &*found;
    }
    [[noreturn]] void wrong(const char* key, const Json& value, const char* wanted) const {
        refuse(ErrorKind::format,
               "sampling." + std::string(key) + " is " + printable(value.dump(), 60) + "; it must be " +
                   wanted + ".",
               file);
    }
};

} // namespace

Recipe parse_recipe(std::string_view text, const std::string& file) {
    const Json json = is_sound_json(text) ? Json::parse(text, nullptr, false) : Json();
    if (!json.is_object()) {
        refuse(ErrorKind::format, "This is no recipe: it is not a JSON object.", file);
    }
    check_header(json, file);
    Recipe recipe;
    recipe.other = json.dump();
    if (const auto set = json.find("set"); set != json.end()) {
        const bool texts = set->is_array() && std::all_of(set->begin(), set->end(),
                                                          [](const Json& each) { return each.is_string(); });
        if (!texts) {
            refuse(ErrorKind::format, "\"set\" must be a list of texts such as \"NAME=VALUE\".", file);
        }
        recipe.set = set->get<std::vector<std::string>>();
    }
    if (const auto sampling = json.find("sampling"); sampling != json.end()) {
        if (!sampling->is_object()) {
            refuse(ErrorKind::format, "\"sampling\" must be an object.", file);
        }
        each_value(recipe.sampling, Setter{*sampling, file});
        validate(recipe.sampling);
    }
    return recipe;
}

std::string write_recipe(const Recipe& recipe) {
    Json json{{"format", format_name}, {"version", newest_version}};
    const Json known = Json::parse(recipe.other, nullptr, false);
    if (known.is_object()) {
        json.update(known);
    }
    json["set"] = recipe.set;
    each_value(recipe.sampling, [&](const char* key, const auto& member) { json["sampling"][key] = member; });
    return json.dump(1) + "\n";
}

void apply_settings(const std::vector<std::string>& settings, OpenOptions& options) {
    constexpr std::string_view knob = "knob.";
    for (const std::string& assignment : settings) {
        const auto equals = assignment.find('=');
        if (equals == std::string::npos || equals == 0) {
            throw Error(ErrorKind::usage,
                        "'" + printable(assignment) + "' is not of the form NAME=VALUE or NAME*=VALUE.");
        }
        if (assignment.starts_with(knob)) {
            options.knobs[assignment.substr(knob.size(), equals - knob.size())] =
                assignment.substr(equals + 1);
        } else {
            options.interventions.push_back(assignment);
        }
    }
}

} // namespace ergo
