// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/byte_alphabet.h"

#include "engine/base/utf8.h"

#include <array>

namespace ergo {

namespace {

constexpr bool stands_for_itself(unsigned byte) {
    return (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || (byte >= 174 && byte <= 255);
}

constexpr char32_t first_substitute = 0x100;
constexpr std::size_t substitutes = 68;

struct Alphabet {
    std::array<char32_t, 256> character{};
    std::array<std::uint8_t, substitutes> substituted{}; // [n]: the byte that U+0100 + n stands for
};

constexpr Alphabet make_alphabet() {
    Alphabet alphabet;
    std::size_t next = 0;
    for (unsigned byte = 0; byte < 256; ++byte) {
        if (stands_for_itself(byte)) {
            alphabet.character[byte] = byte;
        } else {
            alphabet.character[byte] = static_cast<char32_t>(first_substitute + next);
            alphabet.substituted[next++] = static_cast<std::uint8_t>(byte);
        }
    }
    return alphabet;
}

constexpr Alphabet alphabet = make_alphabet();

} // namespace

char32_t byte_to_character(std::uint8_t byte) {
    return alphabet.character[byte];
}

std::optional<std::uint8_t> character_to_byte(char32_t character) {
    if (character < 256) {
        return stands_for_itself(character) ? std::optional(static_cast<std::uint8_t>(character))
                                            : std::nullopt;
    }
    if (character < first_substitute + substitutes) {
        return alphabet.substituted[character - first_substitute];
    }
    return std::nullopt;
}

std::string bytes_to_alphabet(std::string_view bytes) {
    std::string out;
    out.reserve(bytes.size() * 2);
    for (const char byte : bytes) {
        append_utf8(out, byte_to_character(static_cast<std::uint8_t>(byte)));
    }
    return out;
}

std::optional<std::string> alphabet_to_bytes(std::string_view token) {
    std::string out;
    for (std::size_t at = 0; at < token.size();) {
        const Utf8Char c = decode_utf8(token, at);
        const auto byte = c.valid ? character_to_byte(c.code_point) : std::nullopt;
        if (!byte) {
            return std::nullopt;
        }
        out += static_cast<char>(*byte);
        at += c.length;
    }
    return out;
}

} // namespace ergo
