// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/normalizer.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/tokenizer/byte_alphabet.h"
#include "engine/tokenizer/unicode_form.h"
#include "engine/tokenizer/unicode_properties.h"

#include <utf8proc.h>

#include <algorithm>

namespace ergo {

namespace {

std::string_view category(char32_t c) {
    return utf8proc_category_string(static_cast<utf8proc_int32_t>(c));
}

// Calls each(character, its bytes, where they came from).
template <class Each> void each_character(const NormalText& in, const Each& each) {
    for (std::size_t at = 0; at < in.text.size();) {
        const Utf8Char c = decode_utf8(in.text, at);
        each(c.code_point, std::string_view(in.text).substr(at, c.length), in.origin_of(at));
        at += c.length;
    }
}

void run(const FormStep& step, const NormalText& in, NormalText& out) {
    append_form(in, step.form, out);
}

void run(const LowercaseStep&, const NormalText& in, NormalText& out) {
    each_character(in, [&](char32_t c, std::string_view, std::uint32_t source) {
        std::string lower;
        append_utf8(lower, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
        out.put(c == 0x130 ? "i\u0307" : std::string_view(lower), source); // the one that becomes two
    });
}

void run(const StripStep& step, const NormalText& in, NormalText& out) {
    std::size_t begin = in.text.size(), end = 0; // of what is no white space
    for (std::size_t at = 0; at < in.text.size();) {
        const Utf8Char c = decode_utf8(in.text, at);
        if (!is_white_space(c.code_point)) {
            begin = std::min(begin, at);
            end = at + c.length;
        }
        at += c.length;
    }
    begin = step.left ? begin : 0;
    end = step.right ? std::max(begin, end) : in.text.size();
    for (std::size_t at = begin; at < end; ++at) {
        out.put(std::string_view(in.text).substr(at, 1), in.origin_of(at));
    }
}

void run(const StripAccentsStep& step, const NormalText& in, NormalText& out) {
    NormalText decomposed{"", in.track, {}, out.limit};
    if (step.decompose_first) {
        append_form(in, UnicodeForm::nfd, decomposed);
    }
    each_character(step.decompose_first ? decomposed : in,
                   [&](char32_t c, std::string_view bytes, std::uint32_t source) {
                       const bool mark = step.spacing_too ? category(c)[0] == 'M' : category(c) == "Mn";
                       if (!mark) {
                           out.put(bytes, source);
                       }
                   });
}

void run(const NmtStep&, const NormalText& in, NormalText& out) {
    each_character(in, [&](char32_t c, std::string_view bytes, std::uint32_t source) {
        const bool dropped = (c >= 0x01 && c <= 0x08) || c == 0x0B || (c >= 0x0E && c <= 0x1F) || c == 0x7F ||
                             c == 0x8F || c == 0x9F;
        const bool blank = c == 0x09 || c == 0x0A || c == 0x0C || c == 0x0D || c == 0x1680 ||
                           (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 || c == 0x2581 ||
                           c == 0xFEFF || c == 0xFFFD;
        if (!dropped) {
            out.put(blank ? " " : bytes, source);
        }
    });
}

void run(const ReplaceStep& step, const NormalText& in, NormalText& out) {
    std::size_t done = 0;
    const auto copy_to = [&](std::size_t end) {
        for (; done < end; ++done) {
            out.put(std::string_view(in.text).substr(done, 1), in.origin_of(done));
        }
    };
    const auto replace = [&](std::size_t begin, std::size_t end) {
        copy_to(begin);
        out.put(step.content, in.origin_of(begin));
        done = end;
    };
    if (const auto* plain = std::get_if<std::string>(&step.pattern)) {
        for (std::size_t at = 0; !plain->empty() && (at = in.text.find(*plain, at)) != std::string::npos;
             at += plain->size()) {
            replace(at, at + plain->size());
        }
    } else {
        RegexMatcher matcher(std::get<Regex>(step.pattern));
        matcher.start(in.text);
        while (const auto found = matcher.next()) {
            replace(found->begin, found->end);
        }
    }
    copy_to(in.text.size());
}

void run(const PrependStep& step, const NormalText& in, NormalText& out) {
    out.put(in.text.empty() ? "" : step.text, in.origin_of(0));
    for (std::size_t at = 0; at < in.text.size(); ++at) {
        out.put(std::string_view(in.text).substr(at, 1), in.origin_of(at));
    }
}

void run(const AlphabetStep&, const NormalText& in, NormalText& out) {
    for (std::size_t at = 0; at < in.text.size(); ++at) {
        out.put(bytes_to_alphabet(std::string_view(in.text).substr(at, 1)), in.origin_of(at));
    }
}

void run(const PrecompiledStep& step, const NormalText& in, NormalText& out) {
    step.map->apply(
        in.text, [&](std::string_view bytes, std::size_t source) { out.put(bytes, in.origin_of(source)); });
}

void run(const CleanTextStep&, const NormalText& in, NormalText& out) {
    each_character(in, [&](char32_t c, std::string_view bytes, std::uint32_t source) {
        const bool blank = c == '\t' || c == '\n' || c == '\r' || is_white_space(c);
        if (blank) {
            out.put(" ", source);
        } else if (c != 0 && c != 0xFFFD && category(c)[0] != 'C') {
            out.put(bytes, source);
        }
    });
}

void run(const ChineseCharactersStep&, const NormalText& in, NormalText& out) {
    each_character(in, [&](char32_t c, std::string_view bytes, std::uint32_t source) {
        const bool chinese = (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) ||
                             (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B73F) ||
                             (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
                             (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
        out.put(chinese ? " " : "", source);
        out.put(bytes, source);
        out.put(chinese ? " " : "", source);
    });
}

} // namespace

void NormalText::too_long() const {
    throw Error(
        ErrorKind::resources,
        "the tokenizer's normalizer makes more than " + std::to_string(limit) +
            " bytes of the text, the limit for a text of its length.",
        {.code = "TK-LIMIT", .file = "tokenizer.json", .advice = "Use the tokenizer as it was published."});
}

std::string Normalizer::apply(std::string_view text, std::vector<std::uint32_t>* origin) const {
    constexpr std::size_t growth = 32, least = 64 << 10; // what Unicode decomposes becomes 11 times as long
    const std::size_t limit = growth * text.size() + least;
    NormalText now{std::string(text), origin != nullptr, {}, limit};
    for (std::size_t i = 0; now.track && i < text.size(); ++i) {
        now.origin.push_back(static_cast<std::uint32_t>(i));
    }
    for (const NormalizerStep& step : steps_) {
        NormalText next{"", now.track, {}, limit};
        next.text.reserve(now.text.size() + 16);
        std::visit([&](const auto& each) { run(each, now, next); }, step);
        now = std::move(next);
    }
    if (origin) {
        *origin = std::move(now.origin);
    }
    return std::move(now.text);
}

bool Normalizer::leaves_alone(std::string_view text) const {
    if (steps_.empty()) {
        return true;
    }
    const auto* form = std::get_if<FormStep>(&steps_.front());
    if (steps_.size() > 1 || !form || form->form != UnicodeForm::nfc) {
        return false;
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
