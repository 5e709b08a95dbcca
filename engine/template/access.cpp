// SPDX-License-Identifier: GPL-3.0-or-later
// Parts of values: attributes, items, slices.
#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/template/python_string.h"
#include "engine/template/runtime.h"

#include <charconv>

namespace ergo::jinja {

using Kind = TemplateValue::Kind;

namespace {

TemplateValue no_attribute(const TemplateValue& value, const std::string& name) {
    const std::string type = value.is_none() ? "None" : type_name(value) + " object";
    return TemplateValue::undefined("'" + type + "' has no attribute '" + printable(name, 60) + "'");
}

TemplateValue item_of_map(const TemplateValue& value, const TemplateValue& key) {
    const TemplateValue* found = value.map().find(key);
    return found ? *found : no_attribute(value, key.is_text() ? key.bytes() : to_text(key).bytes());
}

// Python's index: from the end when negative; nullopt outside.
std::optional<std::size_t> position(std::int64_t index, std::int64_t size) {
    index += index < 0 ? size : 0;
    return index < 0 || index >= size ? std::nullopt : std::optional(static_cast<std::size_t>(index));
}

TemplateValue item_at(TemplateRuntime& runtime, const TemplateValue& value, std::int64_t index) {
    if (value.is_list()) {
        if (const auto at = position(index, length(value))) {
            return value.items()[*at];
        }
    } else if (value.is_text()) {
        runtime.budget.work(value.text().size());
        if (const auto at = position(index, length(value))) {
            const std::size_t begin = byte_of_character(value.bytes(), *at);
            return value.text().slice(begin, begin + decode_utf8(value.bytes(), begin).length);
        }
    }
    return no_attribute(value, std::to_string(index));
}

std::int64_t bound(const TemplateValue& value, std::int64_t size, std::int64_t otherwise, std::int64_t least,
                   std::int64_t most) {
    if (value.is_none()) {
        return otherwise;
    }
    if (!value.is_whole()) {
        template_failure("a slice's bounds must be whole numbers, not '" + type_name(value) + "'");
    }
    std::int64_t at = value.whole();
    at += at < 0 ? size : 0;
    return std::clamp(at, least, most);
}

} // namespace

TemplateValue attribute(TemplateRuntime& runtime, const TemplateValue& value, const std::string& name) {
    switch (value.kind()) {
    case Kind::undefined:
        template_failure(value.why_undefined());
    case Kind::space: {
        const auto found = value.space()->names.find(name);
        return found != value.space()->names.end() ? found->second : no_attribute(value, name);
    }
    case Kind::text:
    case Kind::list:
    case Kind::map: {
        TemplateValue found = method(value, name);
        if (!found.is_undefined()) {
            return found;
        }
        return value.is_map() ? item_of_map(value, TemplateValue::text(name)) : no_attribute(value, name);
    }
    default:
        static_cast<void>(runtime);
        return no_attribute(value, name);
    }
}

TemplateValue subscript(TemplateRuntime& runtime, const TemplateValue& value, const TemplateValue& index) {
    if (value.is_undefined()) {
        template_failure(value.why_undefined());
    }
    if (value.is_map()) {
        const bool can_be_key = !index.is_map() && (!index.is_list() || index.is_tuple());
        if (const TemplateValue* found = can_be_key ? value.map().find(index) : nullptr) {
            return *found;
        }
    } else if (index.is_whole()) {
        return item_at(runtime, value, index.whole());
    }
    if (index.is_text()) {
        return attribute(runtime, value, index.bytes());
    }
    return no_attribute(value, to_text(index).bytes());
}

TemplateValue slice(TemplateRuntime& runtime, const TemplateValue& value, const TemplateValue& start,
                    const TemplateValue& stop, const TemplateValue& step_value) {
    if (value.is_undefined()) {
        template_failure(value.why_undefined());
    }
    if (!value.is_list() && !value.is_text()) {
        template_failure("a value of type '" + type_name(value) + "' cannot be sliced");
    }
    const std::int64_t size = length(value);
    const std::int64_t step = step_value.is_none() ? 1 : bound(step_value, 0, 1, INT64_MIN + 1, INT64_MAX);
    if (step == 0) {
        template_failure("a slice's step is zero");
    }
    const bool forward = step > 0;
    const std::int64_t first =
        forward ? bound(start, size, 0, 0, size) : bound(start, size, size - 1, -1, size - 1);
    const std::int64_t last =
        forward ? bound(stop, size, size, 0, size) : bound(stop, size, -1, -1, size - 1);
    if (value.is_text() && step == 1) {
        runtime.budget.work(value.text().size());
        const std::size_t begin = byte_of_character(value.bytes(), static_cast<std::size_t>(first));
        const std::size_t end =
            byte_of_character(value.bytes(), static_cast<std::size_t>(std::max(first, last)));
        return value.text().slice(begin, end);
    }
    const TemplateList all = iterate(runtime, value);
    TemplateList items;
    for (std::int64_t at = first; forward ? at < last : at > last;) {
        items.push_back(all[static_cast<std::size_t>(at)]);
        if (__builtin_add_overflow(at, step, &at)) {
            break;
        }
    }
    if (!value.is_text()) {
        return TemplateValue::list(std::move(items), value.is_tuple());
    }
    SourcedText out;
    for (const TemplateValue& item : items) {
        out.append(item.text());
    }
    return out;
}

TemplateValue path_of(TemplateRuntime& runtime, TemplateValue value, const TemplateValue& path,
                      const TemplateValue* fallback) {
    const auto step = [&](const TemplateValue& part) {
        value = subscript(runtime, value, part);
        if (fallback && value.is_undefined()) {
            value = *fallback;
        }
    };
    if (!path.is_text()) {
        step(path);
        return value;
    }
    for (const SourcedText& part : split(path.text(), ".", -1)) {
        std::int64_t index = 0;
        const std::string& text = part.bytes();
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
        const bool number = error == std::errc{} && end == text.data() + text.size() && text.front() != '-';
        step(number ? TemplateValue(index) : TemplateValue(part));
    }
    return value;
}

} // namespace ergo::jinja
