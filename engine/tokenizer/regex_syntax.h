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

} // namespace ergo
