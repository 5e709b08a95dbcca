// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/normalizer.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/tokenizer/unicode_properties.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

namespace ergo {

namespace {

using CodePoints = std::vector<utf8proc_int32_t>;

constexpr char32_t first_that_may_change =
    0x300; // every character below is in form C and composes with nothing

int combining_class(utf8proc_int32_t c) {
    return utf8proc_get_property(c)->combining_class;
}

[[noreturn]] void fail(utf8proc_ssize_t code) {
    throw Error(ErrorKind::resources,
                std::string("the text could not be normalised: ") + utf8proc_errmsg(code) + ".");
}

void append_decomposed(CodePoints& out, char32_t c) {
    utf8proc_int32_t buffer[32]; // the longest canonical decomposition has four characters
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), buffer, std::size(buffer),
                                               UTF8PROC_DECOMPOSE, nullptr);
    if (count < 0 || count > static_cast<utf8proc_ssize_t>(std::size(buffer))) {
        fail(count);
    }
    out.insert(out.end(), buffer, buffer + count);
}

// utf8proc's own ordering takes quadratic time on a long run of marks, hence this one.
void order_marks(CodePoints& text) {
    for (auto at = text.begin(); at != text.end();) {
        if (combining_class(*at) == 0) {
            ++at;
            continue;
        }
        const auto end =
            std::find_if(at, text.end(), [](utf8proc_int32_t c) { return combining_class(c) == 0; });
        std::stable_sort(at, end, [](utf8proc_int32_t a, utf8proc_int32_t b) {
            return combining_class(a) < combining_class(b);
        });
        at = end;
    }
}

// Composes what has been gathered, appends it to `out` and clears it.
void flush(CodePoints& gathered, std::string& out) {
    order_marks(gathered);
    const auto count =
        utf8proc_normalize_utf32(gathered.data(), static_cast<utf8proc_ssize_t>(gathered.size()),
                                 static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    if (count < 0) {
        fail(count);
    }
    for (utf8proc_ssize_t i = 0; i < count; ++i) {
        append_utf8(out, static_cast<char32_t>(gathered[static_cast<std::size_t>(i)]));
    }
    gathered.clear();
}

} // namespace

std::string to_nfc(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    CodePoints gathered;
    for (std::size_t at = 0; at < text.size();) {
        const Utf8Char c = decode_utf8(text, at);
        if (is_inert_in_reference_nfc(c.code_point)) {
            flush(gathered, out);
            out.append(text.substr(at, c.length));
        } else {
            append_decomposed(gathered, c.code_point);
        }
        at += c.length;
    }
    flush(gathered, out);
    return out;
}

bool Normalizer::leaves_alone(std::string_view text) const {
    if (!nfc_) {
        return true;
    }
    for (std::size_t at = 0; at < text.size();) {
        const auto lead = static_cast<unsigned char>(text[at]);
        if (lead < 0x80) {
            ++at;
            continue;
        }
        const Utf8Char c = decode_utf8(text, at);
        if (c.code_point >= first_that_may_change) {
            return false;
        }
        at += c.length;
    }
    return true;
}

} // namespace ergo
