// SPDX-License-Identifier: GPL-3.0-or-later
// upper(), lower(), title() and their like: Unicode's simple mappings, and ß as Python writes it.
#include "engine/base/utf8.h"
#include "engine/template/python_string.h"

#include <utf8proc.h>

namespace ergo::jinja {

namespace {

utf8proc_int32_t signed_code(char32_t c) {
    return static_cast<utf8proc_int32_t>(c);
}

bool is_cased(char32_t c) {
    return utf8proc_toupper(signed_code(c)) != signed_code(c) ||
           utf8proc_tolower(signed_code(c)) != signed_code(c);
}

} // namespace

SourcedText change_case(const SourcedText& text, LetterCase how) {
    SourcedText out;
    bool within_word = false; // the character before has a case
    for (std::size_t at = 0; at < text.size();) {
        const Utf8Char c = decode_utf8(text.bytes(), at);
        const bool first = how == LetterCase::capital ? at == 0 : !within_word;
        const bool is_lower = utf8proc_toupper(signed_code(c.code_point)) != signed_code(c.code_point);
        bool upper = how == LetterCase::upper;
        if (how == LetterCase::title || how == LetterCase::capital) {
            upper = first;
        } else if (how == LetterCase::swap) {
            upper = is_lower;
        }
        std::string mapped;
        if (upper && c.code_point == 0xDF) {
            const bool one_capital = how == LetterCase::title || how == LetterCase::capital;
            mapped.append(one_capital ? "Ss" : "SS");
        } else {
            append_utf8(mapped, static_cast<char32_t>(upper ? utf8proc_toupper(signed_code(c.code_point))
                                                            : utf8proc_tolower(signed_code(c.code_point))));
        }
        out.append(mapped, text.source_at(at));
        within_word = is_cased(c.code_point);
        at += c.length;
    }
    return out;
}

} // namespace ergo::jinja
