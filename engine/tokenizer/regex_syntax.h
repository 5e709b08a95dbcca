// SPDX-License-Identifier: GPL-3.0-or-later
// Translation of the reference's regular expressions (Oniguruma's own syntax) into PCRE2's. What the two read
// differently is rewritten; what cannot be is refused. A pure function.
#pragma once

#include <string>
#include <string_view>

namespace ergo {

/// `pattern` for PCRE2 with UTF, UCP and MULTILINE, newline LF. Throws Error(unsupported, TK-REGEX) for what
/// has no equal there: set operations inside a class (`&&`, nested `[`), `\W` inside a class, and
/// Oniguruma-only escapes.
std::string translate_regex(std::string_view pattern);

/// A pattern that matches `text` and nothing else.
std::string escape_regex(std::string_view text);

/// Patterns, in PCRE2's syntax, of what pre-tokenizers without a pattern of their own look for: one character
/// of white space; one of punctuation (Unicode's, and all of ASCII's); words, or runs of other visible
/// characters.
std::string white_space_pattern();
std::string punctuation_pattern();
std::string word_or_symbols_pattern();

} // namespace ergo
