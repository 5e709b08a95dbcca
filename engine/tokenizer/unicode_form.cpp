// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/unicode_form.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/tokenizer/unicode_properties.h"

#include <utf8proc.h>

#include <algorithm>
#include <vector>

namespace ergo {

namespace {

using CodePoints = std::vector<utf8proc_int32_t>;

int combining_class(utf8proc_int32_t c) {
    return utf8proc_get_property(c)->combining_class;
}

[[noreturn]] void fail(utf8proc_ssize_t code) {
    throw Error(ErrorKind::resources,
                std::string("the text could not be normalised: ") + utf8proc_errmsg(code) + ".");
}

void append_decomposed(CodePoints& out, char32_t c, bool compatible) {
    utf8proc_int32_t buffer[32]; // the longest decomposition has 18 characters
    const auto options =
        static_cast<utf8proc_option_t>(UTF8PROC_DECOMPOSE | (compatible ? UTF8PROC_COMPAT : 0));
    const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), buffer, std::size(buffer),
                                               options, nullptr);
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

// Orders and, if asked, composes what has been gathered; appends it to `out` and clears it.
void flush(CodePoints& gathered, bool compose, std::uint32_t source, NormalText& out) {
    order_marks(gathered);
    auto count = static_cast<utf8proc_ssize_t>(gathered.size());
    if (compose) {
        count = utf8proc_normalize_utf32(gathered.data(), count,
                                         static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    }
    if (count < 0) {
        fail(count);
    }
    std::string bytes;
    for (utf8proc_ssize_t i = 0; i < count; ++i) {
        append_utf8(bytes, static_cast<char32_t>(gathered[static_cast<std::size_t>(i)]));
    }
    out.put(bytes, source);
    gathered.clear();
}

} // namespace

void append_form(const NormalText& in, UnicodeForm form, NormalText& out) {
    const bool compose = form == UnicodeForm::nfc || form == UnicodeForm::nfkc;
    const bool compatible = form == UnicodeForm::nfkc || form == UnicodeForm::nfkd;
    CodePoints gathered;
    std::uint32_t source = 0; // of what has been gathered
    for (std::size_t at = 0; at < in.text.size();) {
        const Utf8Char c = decode_utf8(in.text, at);
        const bool inert = is_inert_in_reference_nfc(c.code_point);
        // What nothing before can change ends what was gathered, so that positions stay close.
        if (inert || (in.track && c.code_point < first_that_may_change)) {
            flush(gathered, compose, source, out);
        }
        if (inert) {
            out.put(std::string_view(in.text).substr(at, c.length), in.origin_of(at));
        } else {
            source = gathered.empty() ? in.origin_of(at) : source;
            append_decomposed(gathered, c.code_point, compatible);
        }
        at += c.length;
    }
    flush(gathered, compose, source, out);
}

} // namespace ergo
