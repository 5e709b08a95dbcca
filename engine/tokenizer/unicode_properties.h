// SPDX-License-Identifier: GPL-3.0-or-later
// Character properties as the reference tokenizers have them. Two Unicode versions meet there: splitting
// follows Unicode 16, while its NFC knows Unicode 9 only. The libraries this program is built with lie
// between the two, so the differences are tables here. Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>

namespace ergo {

/// White_Space: exactly 25 characters.
bool is_white_space(char32_t c);

/// General category Nd, Nl or No.
bool is_number(char32_t c);

/// A word character (UTS 18, annex C): alphabetic, mark, decimal digit, connector or join control.
bool is_word_character(char32_t c);

/// Whether `text` (valid UTF-8) has a character that is younger than the regular expression library's
/// Unicode 14.
bool has_young_character(std::string_view text);

/// `text` with each such character replaced by an older one of the same general category and the same length
/// in bytes (Han by Han), so that a regular expression splits the copy where it should split the text.
std::string with_stand_ins(std::string_view text);

/// Whether the reference's NFC takes `c` for an unknown character, one that neither moves nor composes, while
/// a newer NFC does not.
bool is_inert_in_reference_nfc(char32_t c);

} // namespace ergo
