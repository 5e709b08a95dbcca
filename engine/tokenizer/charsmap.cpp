// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/charsmap.h"

#include "engine/base/utf8.h"

#include <utf8proc.h>

#include <cstring>

namespace ergo {

namespace {

std::optional<std::string> decode_base64(std::string_view text) {
    static constexpr std::string_view alphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    while (text.ends_with('=')) {
        text.remove_suffix(1);
    }
    std::string out;
    std::uint32_t bits = 0;
    int count = 0;
    for (const char c : text) {
        const auto value = alphabet.find(c);
        if (value == std::string_view::npos) {
            return std::nullopt;
        }
        bits = bits << 6 | static_cast<std::uint32_t>(value);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out += static_cast<char>(bits >> count & 0xFF);
        }
    }
    return out;
}

// A node of the double array: the layout is that of the Darts library.
bool has_leaf(std::uint32_t unit) {
    return (unit >> 8 & 1) == 1;
}
std::uint32_t value_of(std::uint32_t unit) {
    return unit & 0x7FFFFFFFu;
}
std::uint32_t label_of(std::uint32_t unit) {
    return unit & (0x80000000u | 0xFF);
}
std::uint32_t offset_of(std::uint32_t unit) {
    return unit >> 10 << ((unit & 0x200u) >> 6);
}

} // namespace

std::optional<Charsmap> Charsmap::read(std::string_view base64) {
    const auto bytes = decode_base64(base64);
    std::uint32_t size = 0; // of the trie, in bytes
    if (!bytes || bytes->size() < sizeof size) {
        return std::nullopt;
    }
    std::memcpy(&size, bytes->data(), sizeof size);
    if (size % 4 != 0 || size == 0 || size > bytes->size() - sizeof size) {
        return std::nullopt;
    }
    Charsmap map;
    map.units_.resize(size / 4);
    std::memcpy(map.units_.data(), bytes->data() + sizeof size, size);
    map.texts_ = bytes->substr(sizeof size + size);
    if (!is_valid_utf8(map.texts_)) {
        return std::nullopt;
    }
    return map;
}

// What replaces the shortest beginning of `text` that the trie knows: the reference takes the first it meets.
std::optional<std::string_view> Charsmap::find(std::string_view text) const {
    std::uint32_t at = offset_of(units_[0]);
    for (const char c : text) {
        const auto label = static_cast<std::uint32_t>(static_cast<unsigned char>(c));
        if (label == 0) {
            return std::nullopt;
        }
        at ^= label;
        if (at >= units_.size() || label_of(units_[at]) != label) {
            return std::nullopt;
        }
        const std::uint32_t unit = units_[at];
        at ^= offset_of(unit);
        if (has_leaf(unit)) {
            if (at >= units_.size()) {
                return std::nullopt;
            }
            const std::size_t begin = value_of(units_[at]);
            if (begin >= texts_.size()) {
                return std::nullopt;
            }
            return std::string_view(texts_).substr(begin, std::strlen(texts_.c_str() + begin));
        }
    }
    return std::nullopt;
}

void Charsmap::apply(std::string_view text,
                     const std::function<void(std::string_view, std::size_t)>& put) const {
    const auto each = [&](std::size_t begin, std::size_t end) {
        if (const auto found = end - begin < 6 ? find(text.substr(begin, end - begin)) : std::nullopt) {
            put(*found, begin);
            return;
        }
        for (std::size_t at = begin; at < end;) {
            const std::size_t length = decode_utf8(text, at).length;
            const auto found = find(text.substr(at, length));
            put(found ? *found : text.substr(at, length), at);
            at += length;
        }
    };
    utf8proc_int32_t state = 0, before = -1;
    std::size_t begin = 0; // of the grapheme
    for (std::size_t at = 0; at < text.size();) {
        const Utf8Char c = decode_utf8(text, at);
        const auto code = static_cast<utf8proc_int32_t>(c.code_point);
        if (before >= 0 && utf8proc_grapheme_break_stateful(before, code, &state)) {
            each(begin, at);
            begin = at;
        }
        before = code;
        at += c.length;
    }
    if (begin < text.size()) {
        each(begin, text.size());
    }
}

} // namespace ergo
