// SPDX-License-Identifier: GPL-3.0-or-later
// Strict UTF-8 (no surrogates, no overlong forms), as the Unicode standard's table 3-7 has it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ergo {

struct Utf8Char {
    char32_t code_point = 0;
    std::size_t length = 1; ///< bytes; for an invalid sequence the length of its maximal invalid part
    bool valid = false;
    bool incomplete = false; ///< invalid only because the text ends inside a sequence that is right so far
};

/// The character that starts at `at` (< text.size()).
Utf8Char decode_utf8(std::string_view text, std::size_t at);

/// `text` with each maximal invalid part replaced by U+FFFD.
std::string replace_invalid_utf8(std::string_view text);

bool is_valid_utf8(std::string_view text);

/// Appends `code_point` as UTF-8.
void append_utf8(std::string& out, char32_t code_point);

} // namespace ergo
