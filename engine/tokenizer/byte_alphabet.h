// SPDX-License-Identifier: GPL-3.0-or-later
// GPT-2's byte alphabet: every byte stands as one printable character in a byte-level vocabulary.
// Bytes 33..126, 161..172 and 174..255 are themselves; the other 68 are, in increasing order, U+0100 upwards
// (space is U+0120).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace ergo {

char32_t byte_to_character(std::uint8_t byte);

std::optional<std::uint8_t> character_to_byte(char32_t character);

/// `bytes`, each as its character of the alphabet, in UTF-8.
std::string bytes_to_alphabet(std::string_view bytes);

/// The bytes that `token` (UTF-8) stands for; nullopt if a character is not of the alphabet.
std::optional<std::string> alphabet_to_bytes(std::string_view token);

} // namespace ergo
