// SPDX-License-Identifier: GPL-3.0-or-later
// Filters on single values. Those on lists are in list_filters.cpp.
#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/template/python_string.h"
#include "engine/template/runtime.h"

#include <charconv>
#include <cmath>

namespace ergo::jinja {

namespace {

using Kind = TemplateValue::Kind;

SourcedText input_text(TemplateCall& call) {
    call.runtime.budget.work(call.input().weight() * 16);
    return to_text(call.input());
}

template <LetterCase how> TemplateValue cased(TemplateCall& call) {
    call.expect({"s"}, 1);
    return text_value(call.runtime, change_case(input_text(call), how));
}

// Its words begin after blanks and brackets too, unlike those of the method title().
TemplateValue title(TemplateCall& call) {
    call.expect({"s"}, 1);
    const SourcedText text = input_text(call);
    SourcedText out;
    std::size_t begin = 0;
    const auto word = [&](std::size_t end) {
        const SourcedText part = text.slice(begin, end);
        const std::size_t first = part.empty() ? 0 : decode_utf8(part.bytes(), 0).length;
        out.append(change_case(part.slice(0, first), LetterCase::upper));
        out.append(change_case(part.slice(first, part.size()), LetterCase::lower));
        begin = end;
    };
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text.bytes()[at];
        if (std::string_view("-([{<").find(c) != std::string_view::npos ||
            (static_cast<unsigned char>(c) < 0x80 && is_python_space(static_cast<unsigned char>(c)))) {
            word(at);
            out.append(text, at, at + 1);
            begin = at + 1;
        }
    }
    word(text.size());
    return text_value(call.runtime, std::move(out));
}

TemplateValue trim(TemplateCall& call) {
    call.expect({"value", "chars"}, 1);
    const SourcedText* characters = call.text_or_null(1, "chars");
    return text_value(call.runtime, strip(input_text(call),
                                          characters ? std::optional<std::string_view>(characters->bytes())
                                                     : std::nullopt));
}

TemplateValue replace_filter(TemplateCall& call) {
    call.expect({"s", "old", "new", "count"}, 3);
    const SourcedText text = input_text(call);
    const TemplateValue replaced = method(TemplateValue(text), "replace");
    TemplateCall inner{
        call.runtime,
        "replace",
        {to_text(*call.find(1, "old")), to_text(*call.find(2, "new")), call.whole_or(3, "count", -1)},
        {}};
    return call.runtime.call(replaced, inner);
}

TemplateValue default_filter(TemplateCall& call) {
    call.expect({"value", "default_value", "boolean"}, 1);
    const TemplateValue* fallback = call.find(1, "default_value");
    if (call.input().is_undefined() || (call.flag_or(2, "boolean", false) && !is_true(call.input()))) {
        return fallback ? *fallback : TemplateValue(SourcedText());
    }
    return call.input();
}

TemplateValue string_filter(TemplateCall& call) {
    call.expect({"object"}, 1);
    return text_value(call.runtime, input_text(call));
}

// int(): of a string only if all of it is a number; otherwise the default.
TemplateValue int_filter(TemplateCall& call) {
    call.expect({"value", "default", "base"}, 1);
    const TemplateValue* given = call.find(1, "default");
    const TemplateValue fallback = given ? *given : TemplateValue(std::int64_t{0});
    const TemplateValue& value = call.input();
    if (value.is_whole()) {
        return value.whole();
    }
    double real = 0;
    if (value.kind() == Kind::real) {
        real = value.real();
    } else if (value.is_text()) {
        const std::string text = strip(value.text()).bytes();
        const bool plus = text.starts_with('+');
        const char *begin = text.data() + (plus ? 1 : 0), *end = text.data() + text.size();
        std::int64_t whole = 0;
        const int base = static_cast<int>(std::clamp<std::int64_t>(call.whole_or(2, "base", 10), 2, 36));
        const char prefix = base == 16 ? 'x' : base == 8 ? 'o' : base == 2 ? 'b' : '0';
        const bool prefixed = end - begin > 2 && begin[0] == '0' && (begin[1] | 0x20) == prefix;
        const auto [stop, error] = std::from_chars(begin + (prefixed ? 2 : 0), end, whole, base);
        if (error == std::errc{} && stop == end && begin != end) {
            return whole;
        }
        const auto [real_stop, real_error] = std::from_chars(begin, end, real);
        if (real_error != std::errc{} || real_stop != end || begin == end) {
            return fallback;
        }
    } else {
        if (value.is_undefined()) {
            template_failure(value.why_undefined());
        }
        return fallback;
    }
    return std::isfinite(real) && std::abs(real) < 9.2e18 ? TemplateValue(static_cast<std::int64_t>(real))
                                                          : fallback;
}

TemplateValue float_filter(TemplateCall& call) {
    call.expect({"value", "default"}, 1);
    const TemplateValue* given = call.find(1, "default");
    if (call.input().is_number()) {
        return call.input().real();
    }
    if (call.input().is_text()) {
        const std::string text = strip(call.input().text()).bytes();
        double real = 0;
        const char* end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, real);
        if (error == std::errc{} && stop == end && !text.empty()) {
            return real;
        }
    }
    return given ? *given : TemplateValue(0.0);
}

TemplateValue abs_filter(TemplateCall& call) {
    call.expect({"x"}, 1);
    return less(call.input(), std::int64_t{0}) ? minus(call.input()) : call.input();
}

TemplateValue round_filter(TemplateCall& call) {
    call.expect({"value", "precision", "method"}, 1);
    if (!call.input().is_number()) {
        call.fail("needs a number, not '" + type_name(call.input()) + "'");
    }
    const SourcedText* given = call.text_or_null(2, "method");
    const std::string how = given ? given->bytes() : "common";
    const double scale = std::pow(
        10.0, static_cast<double>(std::clamp<std::int64_t>(call.whole_or(1, "precision", 0), -300, 300)));
    const double scaled = call.input().real() * scale;
    if (how == "common") {
        return std::nearbyint(scaled) / scale; // halves to even
    }
    if (how != "ceil" && how != "floor") {
        call.fail("knows the methods common, ceil and floor, not '" + printable(how, 40) + "'");
    }
    return (how == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale;
}

TemplateValue length_filter(TemplateCall& call) {
    call.expect({"obj"}, 1);
    return length(call.input());
}

TemplateValue wordcount(TemplateCall& call) {
    call.expect({"s"}, 1);
    std::int64_t words = 0;
    bool inside = false;
    const SourcedText text = input_text(call);
    for (std::size_t at = 0; at < text.size();) {
        const Utf8Char c = decode_utf8(text.bytes(), at);
        const bool word = c.code_point >= 0x80
                              ? !is_python_space(c.code_point)
                              : std::isalnum(static_cast<int>(c.code_point)) || c.code_point == '_';
        words += word && !inside;
        inside = word;
        at += c.length;
    }
    return words;
}

// Lines after the first (all with first=true) moved in; blank ones only with blank=true.
TemplateValue indent_filter(TemplateCall& call) {
    call.expect({"s", "width", "first", "blank"}, 1);
    const TemplateValue* width = call.find(1, "width");
    std::string margin = "    ";
    if (width && width->is_text()) {
        margin = width->bytes();
    } else if (width) {
        margin.assign(
            static_cast<std::size_t>(std::clamp<std::int64_t>(call.whole_or(1, "width", 4), 0, 1000)), ' ');
    }
    const bool blank = call.flag_or(3, "blank", false);
    SourcedText out;
    SourcedText text = input_text(call);
    text.append("\n", template_source); // as the reference does, so that a last empty line counts
    bool first_line = true;
    for (const SourcedText& line : split_lines(text, false)) {
        out.append(first_line ? "" : "\n", template_source);
        if (first_line ? call.flag_or(2, "first", false) : blank || !line.empty()) {
            out.append(margin, template_source);
        }
        out.append(line);
        call.runtime.budget.length(out.size() / 64);
        first_line = false;
    }
    return text_value(call.runtime, std::move(out));
}

TemplateValue escape_filter(TemplateCall& call) {
    call.expect({"s"}, 1);
    static constexpr std::pair<const char*, const char*> signs[] = {
        {"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"'", "&#39;"}, {"\"", "&#34;"}};
    SourcedText text = input_text(call);
    for (const auto& [sign, written] : signs) {
        text = replace(text, sign, SourcedText(written));
    }
    return text_value(call.runtime, std::move(text));
}

TemplateValue same(TemplateCall& call) {
    call.expect({"value"}, 1);
    return call.input().is_text() ? call.input() : text_value(call.runtime, input_text(call));
}

// A string of the separator pair, or none.
void read_separators(TemplateCall& call, JsonLayout& layout) {
    const TemplateValue* pair = call.find(3, "separators");
    if (!pair || pair->is_none()) {
        layout.item_separator = layout.indent ? "," : ", ";
        return;
    }
    if (!pair->is_list() || pair->items().size() != 2 || !pair->items()[0].is_text() ||
        !pair->items()[1].is_text()) {
        call.fail("needs two strings for 'separators'");
    }
    layout.item_separator = pair->items()[0].bytes();
    layout.key_separator = pair->items()[1].bytes();
}

TemplateValue tojson(TemplateCall& call) {
    call.expect({"x", "ensure_ascii", "indent", "separators", "sort_keys"}, 1);
    JsonLayout layout;
    layout.ascii = call.flag_or(1, "ensure_ascii", false);
    const TemplateValue* indent = call.find(2, "indent");
    if (indent && indent->is_text()) {
        layout.indent = indent->bytes();
    } else if (indent && !indent->is_none()) {
        const auto width = std::clamp<std::int64_t>(call.whole_or(2, "indent", 0), 0, 100);
        layout.indent = std::string(static_cast<std::size_t>(width), ' ');
    }
    read_separators(call, layout);
    layout.sort_keys = call.flag_or(4, "sort_keys", false);
    return text_value(call.runtime, to_json(call.runtime, call.input(), layout));
}

TemplateValue format_filter(TemplateCall& call) {
    TemplateList arguments(call.positional.begin() + 1, call.positional.end());
    TemplateValue given = TemplateValue::list(std::move(arguments), true);
    if (!call.named.empty()) {
        auto map = std::make_shared<TemplateMap>();
        for (const auto& [name, value] : call.named) {
            map->set(TemplateValue::text(name), value);
        }
        given = TemplateValue(std::shared_ptr<const TemplateMap>(std::move(map)));
    }
    return text_value(call.runtime, format_percent(call.runtime, input_text(call), given));
}

TemplateValue center(TemplateCall& call) {
    call.expect({"value", "width"}, 1);
    TemplateCall inner{call.runtime, "center", {call.whole_or(1, "width", 80)}, {}};
    return call.runtime.call(method(TemplateValue(input_text(call)), "center"), inner);
}

TemplateValue attr(TemplateCall& call) {
    call.expect({"obj", "name"}, 2);
    const SourcedText* name = call.text_or_null(1, "name");
    if (!name) {
        call.fail("needs a name");
    }
    return attribute(call.runtime, call.input(), name->bytes());
}

TemplateValue truncate(TemplateCall& call) {
    call.expect({"s", "length", "killwords", "end", "leeway"}, 1);
    const SourcedText text = input_text(call);
    const SourcedText* given = call.text_or_null(3, "end");
    const SourcedText end = given ? *given : SourcedText("...");
    const std::int64_t most = call.whole_or(1, "length", 255), leeway = call.whole_or(4, "leeway", 5);
    if (length(text) <= most + leeway) {
        return text;
    }
    const auto room = std::max<std::int64_t>(0, most - length(end));
    SourcedText kept = text.slice(0, byte_of_character(text.bytes(), static_cast<std::size_t>(room)));
    if (!call.flag_or(2, "killwords", false)) {
        const auto blank = kept.bytes().rfind(' ');
        kept = blank == std::string::npos ? kept : kept.slice(0, blank);
    }
    kept.append(end);
    return kept;
}

constexpr std::pair<std::string_view, TemplateFilter> table[] = {
    {"upper", cased<LetterCase::upper>},
    {"lower", cased<LetterCase::lower>},
    {"capitalize", cased<LetterCase::capital>},
    {"title", title},
    {"trim", trim},
    {"replace", replace_filter},
    {"default", default_filter},
    {"d", default_filter},
    {"string", string_filter},
    {"int", int_filter},
    {"float", float_filter},
    {"abs", abs_filter},
    {"round", round_filter},
    {"length", length_filter},
    {"count", length_filter},
    {"wordcount", wordcount},
    {"indent", indent_filter},
    {"escape", escape_filter},
    {"e", escape_filter},
    {"safe", same},
    {"tojson", tojson},
    {"format", format_filter},
    {"center", center},
    {"attr", attr},
    {"truncate", truncate},
};

} // namespace

TemplateFilter find_filter(std::string_view name) {
    for (const auto& [known, filter] : table) {
        if (known == name) {
            return filter;
        }
    }
    return find_list_filter(name);
}

TemplateValue apply_filter(TemplateCall& call) {
    const TemplateFilter filter = find_filter(call.name);
    if (!filter) {
        template_failure("the filter '" + printable(call.name, 40) + "' is not known to this program");
    }
    return filter(call);
}

} // namespace ergo::jinja
