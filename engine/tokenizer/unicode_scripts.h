// SPDX-License-Identifier: GPL-3.0-or-later
// The script of a character as the reference's UnicodeScripts pre-tokenizer has it. A pure function, any
// thread.
#pragma once

#include <cstdint>

namespace ergo {

/// A number that two characters share if they are of one script; 0 for a space and for what is not assigned,
/// which go with any. Digits, punctuation and control characters share a script, combining marks another;
/// Hiragana and Katakana are Han.
int script_of(char32_t c);

} // namespace ergo
