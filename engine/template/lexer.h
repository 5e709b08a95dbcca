// SPDX-License-Identifier: GPL-3.0-or-later
// A template cut into tokens: plain text, and the words and signs inside {{ }} and {% %}. White space control
// is done here, with trim_blocks and lstrip_blocks on as chat templates expect. Pure; for this folder alone.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ergo::jinja {

struct TemplateToken {
    enum class Kind : std::uint8_t {
        text,        ///< outside of all markers
        print_begin, ///< {{
        print_end,
        block_begin, ///< {%
        block_end,
        name,
        string, ///< without quotes, escapes resolved
        integer,
        real,
        sign, ///< one of the operators and brackets
        end,
    };
    Kind kind = Kind::end;
    std::string text;
    std::int64_t integer = 0;
    double real = 0;
    int line = 1;
};

/// Throws TemplateProblem (CT-SYNTAX with its line). The last token is of kind `end`.
std::vector<TemplateToken> cut_template(std::string_view source);

} // namespace ergo::jinja
