// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/template/python_string.h"

#include "engine/base/utf8.h"

#include <algorithm>

namespace ergo::jinja {

namespace {

std::size_t previous_character(std::string_view text, std::size_t at) {
    do {
        --at;
    } while (at > 0 && (text[at] & 0xC0) == 0x80);
    return at;
}

bool space_at(std::string_view text, std::size_t at) {
    return is_python_space(decode_utf8(text, at).code_point);
}

} // namespace

bool is_python_space(char32_t c) {
    return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
           c == 0x3000;
}

std::size_t count_characters(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::size_t byte_of_character(std::string_view text, std::size_t index) {
    std::size_t at = 0;
    for (; index > 0 && at < text.size(); --index) {
        at += decode_utf8(text, at).length;
    }
    return at;
}

SourcedText strip(const SourcedText& text, std::optional<std::string_view> characters, bool left,
                  bool right) {
    const std::string_view bytes = text.bytes();
    const auto goes = [&](std::size_t at, std::size_t length) {
        return characters ? characters->find(bytes.substr(at, length)) != std::string_view::npos
                          : space_at(bytes, at);
    };
    std::size_t begin = 0, end = bytes.size();
    while (left && begin < end) {
        const std::size_t length = decode_utf8(bytes, begin).length;
        if (!goes(begin, length)) {
            break;
        }
        begin += length;
    }
    while (right && begin < end) {
        const std::size_t before = previous_character(bytes, end);
        if (!goes(before, end - before)) {
            break;
        }
        end = before;
    }
    return text.slice(begin, end);
}

namespace {

std::vector<SourcedText> split_by_space(const SourcedText& text, std::int64_t most) {
    std::vector<SourcedText> parts;
    const std::string_view bytes = text.bytes();
    const auto skip = [&](std::size_t at, bool spaces) {
        while (at < bytes.size() && space_at(bytes, at) == spaces) {
            at += decode_utf8(bytes, at).length;
        }
        return at;
    };
    for (std::size_t at = skip(0, true); at < bytes.size();) {
        if (most >= 0 && parts.size() == static_cast<std::size_t>(most)) {
            parts.push_back(text.slice(at, bytes.size()));
            break;
        }
        const std::size_t end = skip(at, false);
        parts.push_back(text.slice(at, end));
        at = skip(end, true);
    }
    return parts;
}

std::vector<SourcedText> rsplit_by_space(const SourcedText& text, std::int64_t most) {
    std::vector<SourcedText> parts;
    const std::string_view bytes = text.bytes();
    const auto skip_back = [&](std::size_t at, bool spaces) {
        while (at > 0 && space_at(bytes, previous_character(bytes, at)) == spaces) {
            at = previous_character(bytes, at);
        }
        return at;
    };
    for (std::size_t end = skip_back(bytes.size(), true); end > 0;) {
        if (most >= 0 && parts.size() == static_cast<std::size_t>(most)) {
            parts.push_back(text.slice(0, end));
            break;
        }
        const std::size_t begin = skip_back(end, false);
        parts.push_back(text.slice(begin, end));
        end = skip_back(begin, true);
    }
    std::reverse(parts.begin(), parts.end());
    return parts;
}

} // namespace

std::vector<SourcedText> split(const SourcedText& text, std::optional<std::string_view> separator,
                               std::int64_t most) {
    if (!separator) {
        return split_by_space(text, most);
    }
    std::vector<SourcedText> parts;
    std::size_t begin = 0;
    while (most < 0 || parts.size() < static_cast<std::size_t>(most)) {
        const std::size_t found = text.bytes().find(*separator, begin);
        if (found == std::string::npos) {
            break;
        }
        parts.push_back(text.slice(begin, found));
        begin = found + separator->size();
    }
    parts.push_back(text.slice(begin, text.size()));
    return parts;
}

std::vector<SourcedText> rsplit(const SourcedText& text, std::optional<std::string_view> separator,
                                std::int64_t most) {
    if (!separator) {
        return rsplit_by_space(text, most);
    }
    std::vector<SourcedText> parts;
    std::size_t end = text.size();
    while (most < 0 || parts.size() < static_cast<std::size_t>(most)) {
        const std::size_t found = end < separator->size()
                                      ? std::string::npos
                                      : text.bytes().rfind(*separator, end - separator->size());
        if (found == std::string::npos) {
            break;
        }
        parts.push_back(text.slice(found + separator->size(), end));
        end = found;
    }
    parts.push_back(text.slice(0, end));
    std::reverse(parts.begin(), parts.end());
    return parts;
}

std::vector<SourcedText> split_lines(const SourcedText& text, bool keep_ends) {
    std::vector<SourcedText> lines;
    const std::string_view bytes = text.bytes();
    std::size_t begin = 0;
    for (std::size_t at = 0; at < bytes.size();) {
        const Utf8Char c = decode_utf8(bytes, at);
        const char32_t p = c.code_point;
        std::size_t next = at + c.length;
        if ((p >= 0x0A && p <= 0x0D) || (p >= 0x1C && p <= 0x1E) || p == 0x85 || p == 0x2028 || p == 0x2029) {
            next += p == '\r' && next < bytes.size() && bytes[next] == '\n' ? 1 : 0;
            lines.push_back(text.slice(begin, keep_ends ? next : at));
            begin = next;
        }
        at = next;
    }
    if (begin < bytes.size()) {
        lines.push_back(text.slice(begin, bytes.size()));
    }
    return lines;
}

std::size_t replaced_size(const SourcedText& text, std::string_view old, const SourcedText& fresh) {
    const std::size_t places = old.empty() ? text.size() + 1 : text.size() / old.size();
    return text.size() + places * fresh.size();
}

SourcedText replace(const SourcedText& text, std::string_view old, const SourcedText& fresh,
                    std::int64_t most) {
    SourcedText out;
    std::size_t begin = 0;
    std::int64_t done = 0;
    if (old.empty()) {
        for (std::size_t at = 0; most < 0 || done < most; ++done) {
            out.append(fresh);
            if (at >= text.size()) {
                return out;
            }
            begin = at + decode_utf8(text.bytes(), at).length;
            out.append(text, at, begin);
            at = begin;
        }
    }
    while (!old.empty() && (most < 0 || done < most)) {
        const std::size_t found = text.bytes().find(old, begin);
        if (found == std::string::npos) {
            break;
        }
        out.append(text, begin, found);
        out.append(fresh);
        begin = found + old.size();
        ++done;
    }
    out.append(text, begin, text.size());
    return out;
}

SourcedText join(const SourcedText& separator, const std::vector<SourcedText>& parts) {
    SourcedText out;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (i > 0) {
            out.append(separator);
        }
        out.append(parts[i]);
    }
    return out;
}

} // namespace ergo::jinja
