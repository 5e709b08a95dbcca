// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/error.h"

#include "engine/base/cancel.h"
#include "engine/base/utf8.h"

#include <algorithm>
#include <cstdio>

namespace ergo {

namespace {

std::string compose(const std::string& message, const ErrorWhere& where) {
    std::string text;
    if (!where.code.empty()) {
        text += where.code + ": ";
    }
    if (!where.file.empty()) {
        text += where.file;
        if (where.offset) {
            text += " at byte " + std::to_string(*where.offset);
        }
        text += ": ";
    }
    if (!where.tensor.empty()) {
        text += "tensor '" + where.tensor + "': ";
    }
    text += message;
    if (!where.advice.empty()) {
        const bool ends = message.empty() || message.ends_with('.') || message.ends_with('?');
        text += (ends ? " " : ". ") + where.advice;
    }
    return text;
}

// Characters that could reorder or hide the rest of a line in a terminal or a label.
bool is_deceptive(char32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x200e || c == 0x200f ||
           (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x2028 || c == 0x2029;
}

} // namespace

Error::Error(ErrorKind kind, const std::string& message, ErrorWhere where)
    : std::runtime_error(compose(message, where)), kind_(kind), message_(message), where_(std::move(where)) {}

void CancelToken::check() const {
    if (cancelled()) {
        throw Error(ErrorKind::cancelled, "Cancelled.");
    }
}

std::string printable(std::string_view text, std::size_t limit) {
    std::string out;
    std::size_t at = 0;
    while (at < text.size()) {
        if (out.size() >= limit) {
            return out + "…";
        }
        std::size_t plain = at; // most names are plain ASCII
        while (plain < text.size() && text[plain] >= 0x20 && text[plain] < 0x7f) {
            ++plain;
        }
        if (plain > at) {
            const std::size_t taken = std::min(plain - at, limit - out.size());
            out.append(text.substr(at, taken));
            at += taken;
            continue;
        }
        const Utf8Char c = decode_utf8(text, at);
        char escaped[16];
        if (!c.valid) {
            std::snprintf(escaped, sizeof escaped, "\\x%02X", static_cast<unsigned char>(text[at]));
            out += escaped;
            at += 1;
        } else if (is_deceptive(c.code_point)) {
            std::snprintf(escaped, sizeof escaped, "\\u%04X", static_cast<unsigned>(c.code_point));
            out += escaped;
            at += c.length;
        } else {
            out.append(text.substr(at, c.length));
            at += c.length;
        }
    }
    return out;
}

} // namespace ergo
