// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/utf8.h"

namespace ergo {

namespace {

struct Lead {
    int trail = -1; // continuation bytes; -1: not a lead byte
    unsigned char low = 0x80, high = 0xbf;
    char32_t bits = 0;
};

Lead classify(unsigned char b) {
    if (b < 0x80) {
        return {0, 0, 0, b};
    }
    if (b >= 0xc2 && b <= 0xdf) {
        return {1, 0x80, 0xbf, static_cast<char32_t>(b & 0x1f)};
    }
    if (b >= 0xe0 && b <= 0xef) {
        return {2, static_cast<unsigned char>(b == 0xe0 ? 0xa0 : 0x80),
                static_cast<unsigned char>(b == 0xed ? 0x9f : 0xbf), static_cast<char32_t>(b & 0x0f)};
    }
    if (b >= 0xf0 && b <= 0xf4) {
        return {3, static_cast<unsigned char>(b == 0xf0 ? 0x90 : 0x80),
                static_cast<unsigned char>(b == 0xf4 ? 0x8f : 0xbf), static_cast<char32_t>(b & 0x07)};
    }
    return {};
}

} // namespace

Utf8Char decode_utf8(std::string_view text, std::size_t at) {
    const Lead lead = classify(static_cast<unsigned char>(text[at]));
    if (lead.trail < 0) {
        return {};
    }
    Utf8Char c{lead.bits, 1, true, false};
    for (int i = 0; i < lead.trail; ++i) {
        if (at + c.length >= text.size()) {
            return {0, c.length, false, true};
        }
        const auto b = static_cast<unsigned char>(text[at + c.length]);
        const unsigned char low = i == 0 ? lead.low : 0x80, high = i == 0 ? lead.high : 0xbf;
        if (b < low || b > high) {
            return {0, c.length, false, false};
        }
        c.code_point = (c.code_point << 6) | (b & 0x3fu);
        ++c.length;
    }
    return c;
}

std::string replace_invalid_utf8(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size();) {
        const Utf8Char c = decode_utf8(text, at);
        out += c.valid ? text.substr(at, c.length) : std::string_view("\xEF\xBF\xBD");
        at += c.length;
    }
    return out;
}

bool is_valid_utf8(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const Utf8Char c = decode_utf8(text, at);
        if (!c.valid) {
            return false;
        }
        at += c.length;
    }
    return true;
}

void append_utf8(std::string& out, char32_t c) {
    const auto put = [&out](char32_t byte) { out += static_cast<char>(byte); };
    if (c < 0x80) {
        put(c);
    } else if (c < 0x800) {
        put(0xc0 | (c >> 6)), put(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        put(0xe0 | (c >> 12)), put(0x80 | ((c >> 6) & 0x3f)), put(0x80 | (c & 0x3f));
    } else {
        put(0xf0 | (c >> 18)), put(0x80 | ((c >> 12) & 0x3f)), put(0x80 | ((c >> 6) & 0x3f)),
            put(0x80 | (c & 0x3f));
    }
}

} // namespace ergo
