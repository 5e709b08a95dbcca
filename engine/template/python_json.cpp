// SPDX-License-Identifier: GPL-3.0-or-later
// json.dumps as chat templates see it.
#include "engine/base/utf8.h"
#include "engine/template/runtime.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace ergo::jinja {

namespace {

using Kind = TemplateValue::Kind;

class Writer {
  public:
    Writer(TemplateRuntime& runtime, const JsonLayout& layout) : runtime_(runtime), layout_(layout) {}

    SourcedText run(const TemplateValue& value) {
        write(value, 0);
        return std::move(out_);
    }

  private:
    void plain(std::string_view text) { out_.append(text, template_source); }

    void write(const TemplateValue& value, int level) {
        runtime_.budget.work(16);
        if (out_.size() > TemplateBudget::most_output) {
            runtime_.budget.length(out_.size());
        }
        switch (value.kind()) {
        case Kind::none:
            plain("null");
            break;
        case Kind::boolean:
            plain(value.boolean() ? "true" : "false");
            break;
        case Kind::integer:
            plain(std::to_string(value.whole()));
            break;
        case Kind::real:
            plain(std::isnan(value.real())   ? "NaN"
                  : std::isinf(value.real()) ? (value.real() > 0 ? "Infinity" : "-Infinity")
                                             : float_repr(value.real()));
            break;
        case Kind::text:
            string(value.text());
            break;
        case Kind::list:
            list(value.items(), level);
            break;
        case Kind::map:
            map(value.map(), level);
            break;
        default:
            template_failure("a value of type '" + type_name(value) + "' cannot be written as JSON" +
                             (value.is_undefined() ? " (" + value.why_undefined() + ")" : ""));
        }
    }

    void line(int level) {
        if (layout_.indent) {
            plain("\n");
            for (int i = 0; i < level; ++i) {
                plain(*layout_.indent);
            }
        }
    }

    void list(const TemplateList& items, int level) {
        plain("[");
        for (std::size_t i = 0; i < items.size(); ++i) {
            plain(i > 0 ? std::string_view(layout_.item_separator) : std::string_view());
            line(level + 1);
            write(items[i], level + 1);
        }
        if (!items.empty()) {
            line(level);
        }
        plain("]");
    }

    void map(const TemplateMap& map, int level) {
        std::vector<const TemplateMap::Entry*> entries;
        for (const TemplateMap::Entry& entry : map.entries()) {
            entries.push_back(&entry);
        }
        if (layout_.sort_keys) {
            std::stable_sort(entries.begin(), entries.end(),
                             [](const auto* a, const auto* b) { return less(a->first, b->first); });
        }
        plain("{");
        for (std::size_t i = 0; i < entries.size(); ++i) {
            plain(i > 0 ? std::string_view(layout_.item_separator) : std::string_view());
            line(level + 1);
            key(entries[i]->first);
            plain(layout_.key_separator);
            write(entries[i]->second, level + 1);
        }
        if (!entries.empty()) {
            line(level);
        }
        plain("}");
    }

    void key(const TemplateValue& key) {
        if (key.is_text()) {
            string(key.text());
        } else if (key.is_number() || key.is_none()) { // becomes a string
            plain("\"");
            write(key, 0);
            plain("\"");
        } else {
            template_failure("a key of type '" + type_name(key) + "' cannot be written as JSON");
        }
    }

    void string(const SourcedText& text) {
        plain("\"");
        std::size_t begin = 0; // of what has not been written yet
        for (std::size_t at = 0; at < text.size();) {
            const auto byte = static_cast<unsigned char>(text.bytes()[at]);
            const bool escape = byte < 0x20 || byte == '"' || byte == '\\' || (layout_.ascii && byte >= 0x7F);
            if (!escape) {
                ++at;
                continue;
            }
            out_.append(text, begin, at);
            const Utf8Char c = decode_utf8(text.bytes(), at);
            out_.append(escaped(c.code_point), text.source_at(at));
            at += c.length;
            begin = at;
        }
        out_.append(text, begin, text.size());
        plain("\"");
    }

    static std::string escaped(char32_t c) {
        static constexpr std::string_view known = "\"\\\n\r\t\b\f", letters = "\"\\nrtbf";
        if (c < 0x80) {
            if (const auto at = known.find(static_cast<char>(c)); at != std::string_view::npos) {
                return std::string("\\") + letters[at];
            }
            if (c == 0x7F) {
                return "\x7F";
            }
        }
        char text[16];
        if (c < 0x10000) {
            std::snprintf(text, sizeof text, "\\u%04x", static_cast<unsigned>(c));
        } else {
            const auto rest = static_cast<unsigned>(c) - 0x10000;
            std::snprintf(text, sizeof text, "\\u%04x\\u%04x", 0xD800 + (rest >> 10),
                          0xDC00 + (rest & 0x3FF));
        }
        return text;
    }

    TemplateRuntime& runtime_;
    const JsonLayout& layout_;
    SourcedText out_;
};

} // namespace

SourcedText to_json(TemplateRuntime& runtime, const TemplateValue& value, const JsonLayout& layout) {
    return Writer(runtime, layout).run(value);
}

} // namespace ergo::jinja
