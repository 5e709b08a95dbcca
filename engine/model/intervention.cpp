// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/intervention.h"

#include "engine/base/error.h"
#include "engine/model/observable.h"

#include <charconv>
#include <cmath>

namespace ergo {

namespace {

constexpr std::string_view mask_suffix = ".mask", keep_suffix = ".keep";

[[noreturn]] void refuse(const std::string& text, const std::string& why) {
    throw Error(ErrorKind::usage, "The change '" + printable(text) + "' " + why);
}

template <class Number> Number parse(const std::string& digits, const std::string& text, const char* what) {
    Number number{};
    const char* end = digits.data() + digits.size();
    const auto [stop, problem] = std::from_chars(digits.data(), end, number);
    if (problem != std::errc{} || stop != end || digits.empty()) {
        refuse(text, std::string("has ") + what + " '" + printable(digits) + "', which is not a number.");
    }
    return number;
}

} // namespace

Intervention parse_intervention(const std::string& text) {
    Intervention change;
    const auto equals = text.rfind('=');
    if (equals == std::string::npos || equals == 0) {
        refuse(text, "is not of the form NAME=VALUE or NAME*=VALUE.");
    }
    std::string name = text.substr(0, equals);
    if (name.ends_with('*') && name.size() > 1) { // "mass*=2": the star belongs to the operator
        change.scale = true;
        name.pop_back();
    }
    change.value = parse<float>(text.substr(equals + 1), text, "the value");
    if (!std::isfinite(change.value)) {
        refuse(text, "has a value that is not finite.");
    }
    if (name.ends_with(']')) {
        const auto open = name.rfind('[');
        if (open == std::string::npos || open == 0) {
            refuse(text, "has a ']' without a name and '[' before it.");
        }
        change.index = parse<std::int64_t>(name.substr(open + 1, name.size() - open - 2), text, "the index");
        name.resize(open);
    }
    if (name.ends_with(mask_suffix)) { // what is masked is not kept
        if (change.scale || change.value < 0 || change.value > 1) {
            refuse(text, "masks with a value from 0 (kept) to 1 (masked), set with '='.");
        }
        name.replace(name.size() - mask_suffix.size(), mask_suffix.size(), keep_suffix);
        change.value = 1 - change.value;
    }
    change.pattern = name;
    return change;
}

void apply_intervention(std::vector<ParamInfo>& params, const Intervention& change) {
    bool matched = false;
    for (ParamInfo& param : params) {
        if (!glob_match(change.pattern, param.name)) {
            continue;
        }
        matched = true;
        std::size_t begin = 0, end = param.values.size();
        if (change.index) {
            const std::int64_t rows = param.shape.empty() ? 1 : param.shape.front();
            if (*change.index < 0 || *change.index >= rows) {
                throw Error(ErrorKind::usage, "'" + param.name + "' has " + std::to_string(rows) +
                                                  " elements, so [" + std::to_string(*change.index) +
                                                  "] does not exist.");
            }
            const std::size_t width = end / static_cast<std::size_t>(rows);
            begin = static_cast<std::size_t>(*change.index) * width;
            end = begin + width;
        }
        for (std::size_t i = begin; i < end; ++i) {
            param.values[i] = change.scale ? param.values[i] * change.value : change.value;
        }
    }
    if (!matched) {
        std::string names;
        for (std::size_t i = 0; i < params.size() && i < 12; ++i) {
            names += (i ? ", " : "") + params[i].name;
        }
        throw Error(ErrorKind::usage, "No parameter is named '" + printable(change.pattern) + "'.",
                    {.advice = "There are " + std::to_string(params.size()) + ", such as " + names + "."});
    }
}

std::vector<std::vector<float>> changed_params(const std::vector<ParamInfo>& params,
                                               const std::vector<std::string>& changes) {
    std::vector<ParamInfo> changed = params;
    for (const std::string& text : changes) {
        apply_intervention(changed, parse_intervention(text));
    }
    std::vector<std::vector<float>> values;
    values.reserve(changed.size());
    for (ParamInfo& param : changed) {
        values.push_back(std::move(param.values));
    }
    return values;
}

} // namespace ergo
