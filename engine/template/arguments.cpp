// SPDX-License-Identifier: GPL-3.0-or-later
// Arguments of filters, tests, methods and functions.
#include "engine/base/error.h"
#include "engine/template/runtime.h"

#include <algorithm>

namespace ergo::jinja {

void TemplateCall::fail(const std::string& message) const {
    template_failure("'" + name + "' " + message);
}

void TemplateCall::expect(std::initializer_list<std::string_view> parameters, std::size_t required) const {
    if (positional.size() > parameters.size()) {
        fail("takes at most " + std::to_string(parameters.size()) + " arguments, but is given " +
             std::to_string(positional.size()));
    }
    for (const auto& [keyword, value] : named) {
        const auto* known = std::find(parameters.begin(), parameters.end(), keyword);
        if (known == parameters.end()) {
            fail("has no argument named '" + printable(keyword, 40) + "'");
        }
        if (static_cast<std::size_t>(known - parameters.begin()) < positional.size()) {
            fail("is given the argument '" + keyword + "' twice");
        }
    }
    for (std::size_t i = positional.size(); i < required; ++i) {
        const std::string_view wanted = *(parameters.begin() + i);
        if (!find(i, wanted)) {
            fail("needs the argument '" + std::string(wanted) + "'");
        }
    }
}

const TemplateValue* TemplateCall::find(std::size_t index, std::string_view keyword) const {
    if (index < positional.size()) {
        return &positional[index];
    }
    for (const auto& [name_given, value] : named) {
        if (name_given == keyword) {
            return &value;
        }
    }
    return nullptr;
}

std::int64_t TemplateCall::whole_or(std::size_t index, std::string_view keyword,
                                    std::int64_t fallback) const {
    const TemplateValue* value = find(index, keyword);
    if (!value || value->is_none()) {
        return fallback;
    }
    if (!value->is_whole()) {
        fail("needs a whole number for '" + std::string(keyword) + "', not '" + type_name(*value) + "'");
    }
    return value->whole();
}

bool TemplateCall::flag_or(std::size_t index, std::string_view keyword, bool fallback) const {
    const TemplateValue* value = find(index, keyword);
    return value ? is_true(*value) : fallback;
}

const SourcedText* TemplateCall::text_or_null(std::size_t index, std::string_view keyword) const {
    const TemplateValue* value = find(index, keyword);
    if (!value || value->is_none()) {
        return nullptr;
    }
    if (!value->is_text()) {
        fail("needs a string for '" + std::string(keyword) + "', not '" +
             (value->is_undefined() ? value->why_undefined() : type_name(*value)) + "'");
    }
    return &value->text();
}

} // namespace ergo::jinja
