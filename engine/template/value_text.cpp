// SPDX-License-Identifier: GPL-3.0-or-later
// Python's str() and repr() of values.
#include "engine/base/utf8.h"
#include "engine/template/value.h"

#include <charconv>
#include <cmath>
#include <cstdio>

namespace ergo::jinja {

namespace {

using Kind = TemplateValue::Kind;

void append_plain(SourcedText& out, std::string_view bytes) {
    out.append(bytes, template_source);
}

// repr() of a string: quotes by Python's rule, control characters escaped.
void append_string_repr(SourcedText& out, const SourcedText& text) {
    const std::string& bytes = text.bytes();
    const char quote =
        bytes.find('\'') != std::string::npos && bytes.find('"') == std::string::npos ? '"' : '\'';
    append_plain(out, std::string_view(&quote, 1));
    for (std::size_t at = 0; at < bytes.size();) {
        const Utf8Char c = decode_utf8(bytes, at);
        const TextSource source = text.source_at(at);
        char escaped[8];
        if (c.code_point == static_cast<unsigned char>(quote) || c.code_point == '\\') {
            out.append("\\", source);
            out.append(text, at, at + c.length);
        } else if (c.code_point == '\n' || c.code_point == '\r' || c.code_point == '\t') {
            out.append(c.code_point == '\n' ? "\\n" : c.code_point == '\r' ? "\\r" : "\\t", source);
        } else if (c.code_point < 0x20 || (c.code_point >= 0x7f && c.code_point <= 0xa0) ||
                   c.code_point == 0xad) {
            std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned>(c.code_point));
            out.append(escaped, source);
        } else {
            out.append(text, at, at + c.length);
        }
        at += c.length;
    }
    append_plain(out, std::string_view(&quote, 1));
}

void append_repr(SourcedText& out, const TemplateValue& value);

void append_list_repr(SourcedText& out, const TemplateValue& value) {
    append_plain(out, value.is_tuple() ? "(" : "[");
    bool first = true;
    for (const TemplateValue& item : value.items()) {
        append_plain(out, first ? "" : ", ");
        append_repr(out, item);
        first = false;
    }
    append_plain(out, !value.is_tuple() ? "]" : value.items().size() == 1 ? ",)" : ")");
}

void append_map_repr(SourcedText& out, const TemplateMap& map) {
    append_plain(out, "{");
    bool first = true;
    for (const auto& [key, item] : map.entries()) {
        append_plain(out, first ? "" : ", ");
        append_repr(out, key);
        append_plain(out, ": ");
        append_repr(out, item);
        first = false;
    }
    append_plain(out, "}");
}

void append_repr(SourcedText& out, const TemplateValue& value) {
    switch (value.kind()) {
    case Kind::text:
        append_string_repr(out, value.text());
        break;
    case Kind::list:
        append_list_repr(out, value);
        break;
    case Kind::map:
        append_map_repr(out, value.map());
        break;
    case Kind::undefined:
        append_plain(out, "Undefined");
        break;
    default:
        out.append(to_text(value));
    }
}

} // namespace

std::string float_repr(double value) {
    if (std::isnan(value)) {
        return "nan";
    }
    if (std::isinf(value)) {
        return value > 0 ? "inf" : "-inf";
    }
    char buffer[64];
    const auto [end, error] =
        std::to_chars(std::begin(buffer), std::end(buffer), value, std::chars_format::scientific);
    std::string digits;
    std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
    const bool negative = text.starts_with('-');
    text.remove_prefix(negative ? 1 : 0);
    const std::size_t mark = text.find('e');
    int exponent = 0;
    const std::string_view power = text.substr(mark + (text[mark + 1] == '+' ? 2 : 1));
    std::from_chars(power.data(), power.data() + power.size(), exponent);
    for (const char c : text.substr(0, mark)) {
        digits += c == '.' ? "" : std::string(1, c);
    }
    const int count = static_cast<int>(digits.size());
    std::string out = negative ? "-" : "";
    if (exponent < -4 || exponent >= 16) {
        out += digits.substr(0, 1) + (count > 1 ? "." + digits.substr(1) : "");
        char suffix[16];
        std::snprintf(suffix, sizeof suffix, "e%c%02d", exponent < 0 ? '-' : '+', std::abs(exponent));
        return out + suffix;
    }
    if (exponent < 0) {
        return out + "0." + std::string(static_cast<std::size_t>(-exponent - 1), '0') + digits;
    }
    if (count <= exponent + 1) {
        return out + digits + std::string(static_cast<std::size_t>(exponent + 1 - count), '0') + ".0";
    }
    digits.insert(static_cast<std::size_t>(exponent) + 1, ".");
    return out + digits;
}

SourcedText to_text(const TemplateValue& value) {
    switch (value.kind()) {
    case Kind::undefined:
        return {};
    case Kind::none:
        return SourcedText("None");
    case Kind::boolean:
        return SourcedText(value.boolean() ? "True" : "False");
    case Kind::integer:
        return SourcedText(std::to_string(value.whole()));
    case Kind::real:
        return SourcedText(float_repr(value.real()));
    case Kind::text:
        return value.text();
    case Kind::space:
        return SourcedText("<Namespace>");
    case Kind::loop:
        return SourcedText("<LoopContext>");
    case Kind::function:
        return SourcedText("<function " + value.function_name() + ">");
    default:
        return to_repr(value);
    }
}

SourcedText to_repr(const TemplateValue& value) {
    SourcedText out;
    append_repr(out, value);
    return out;
}

std::string type_name(const TemplateValue& value) {
    switch (value.kind()) {
    case Kind::undefined:
        return "Undefined";
    case Kind::none:
        return "NoneType";
    case Kind::boolean:
        return "bool";
    case Kind::integer:
        return "int";
    case Kind::real:
        return "float";
    case Kind::text:
        return "str";
    case Kind::list:
        return value.is_tuple() ? "tuple" : "list";
    case Kind::map:
        return "dict";
    case Kind::space:
        return "Namespace";
    case Kind::loop:
        return "LoopContext";
    case Kind::function:
        break;
    }
    return "function";
}

} // namespace ergo::jinja
