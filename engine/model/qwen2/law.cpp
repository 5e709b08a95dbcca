// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/qwen2/law.h"

#include "engine/base/error.h"
#include "engine/base/strict_json.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <charconv>

namespace ergo::qwen2 {

namespace {

using Json = nlohmann::json;

[[noreturn]] void refuse(const std::string& origin, const std::string& knob, const std::string& value,
                         const std::string& allowed) {
    throw Error(ErrorKind::usage, origin + ": the knob " + knob + " is " + printable(value, 60) + ".",
                {.code = "KNOB", .advice = "It may be " + allowed + "."});
}

std::string unquoted(const std::string& value) {
    const Json parsed = Json::parse(value, nullptr, false);
    return parsed.is_string() ? parsed.get<std::string>() : value;
}

void choose(std::string& out, const std::string& origin, const std::string& knob, const std::string& value,
            const std::vector<std::string>& choices) {
    if (std::find(choices.begin(), choices.end(), value) == choices.end()) {
        std::string allowed;
        for (const std::string& each : choices) {
            allowed += (allowed.empty() ? "" : ", ") + each;
        }
        refuse(origin, knob, value, allowed);
    }
    out = value;
}

double positive(const std::string& origin, const std::string& knob, const std::string& value) {
    double number = 0;
    const auto [stop, problem] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (problem != std::errc{} || stop != value.data() + value.size() || !(number >= 1e-9 && number <= 1e9)) {
        refuse(origin, knob, value, "a number from 1e-9 to 1e9");
    }
    return number;
}

bool truth(const std::string& origin, const std::string& knob, const std::string& value) {
    if (value != "true" && value != "false") {
        refuse(origin, knob, value, "true or false");
    }
    return value == "true";
}

} // namespace

void Law::apply(const std::map<std::string, std::string>& knobs, const std::string& origin) {
    for (const auto& [knob, text] : knobs) {
        const std::string value = unquoted(text);
        if (knob == "attention") {
            choose(attention, origin, knob, value == "standard" ? "dot" : value, {"auto", "gravity", "dot"});
        } else if (knob == "gravity_eps") {
            gravity_eps = positive(origin, knob, value);
        } else if (knob == "scale_mode") {
            choose(scale_mode, origin, knob, value, {"none", "qk", "score"});
        } else if (knob == "clamp_distance") {
            clamp_distance = truth(origin, knob, value);
        } else if (knob == "mass_power") {
            choose(mass_power, origin, knob, value, {"square", "plain"});
        } else {
            throw Error(
                ErrorKind::usage, origin + ": a Qwen2-class model has no knob '" + printable(knob) + "'.",
                {.code = "KNOB",
                 .advice = "It has attention, gravity_eps, scale_mode, clamp_distance and mass_power."});
        }
    }
}

void Law::apply_json(const std::string& json) {
    if (json.empty()) {
        return;
    }
    check_side_json(json, "semantics.json");
    const Json raw = Json::parse(json, nullptr, false);
    if (!raw.is_object()) {
        throw Error(ErrorKind::format, "it is not a JSON object.",
                    {.code = "F-JSON", .file = "semantics.json"});
    }
    std::map<std::string, std::string> knobs;
    for (const auto& [key, value] : raw.items()) {
        if (!value.is_null()) {
            knobs[key] = value.dump(-1, ' ', false, Json::error_handler_t::replace);
        }
    }
    apply(knobs, "semantics.json");
}

std::map<std::string, std::string> Law::settings() const {
    return {{"knob.attention", attention},
            {"knob.gravity_eps", to_string(Value(gravity_eps))},
            {"knob.scale_mode", scale_mode},
            {"knob.clamp_distance", clamp_distance ? "true" : "false"},
            {"knob.mass_power", mass_power}};
}

} // namespace ergo::qwen2
