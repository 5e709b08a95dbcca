// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/regex.h"

#include "engine/base/error.h"

#include <algorithm>
#include <new>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

namespace ergo {

namespace {

std::string pcre2_message(int code) {
    PCRE2_UCHAR buffer[256];
    pcre2_get_error_message(code, buffer, sizeof buffer);
    return reinterpret_cast<const char*>(buffer);
}

// Enough for any published pattern (a few steps a byte), too few for one made to never end.
std::uint32_t step_limit(std::size_t bytes) {
    return static_cast<std::uint32_t>(
        std::min<std::uint64_t>(10'000'000 + 64 * std::uint64_t{bytes}, 2'000'000'000));
}

} // namespace

Regex::Regex(const std::string& pattern) {
    const std::unique_ptr<pcre2_compile_context, decltype(&pcre2_compile_context_free)> context(
        pcre2_compile_context_create(nullptr), &pcre2_compile_context_free);
    if (!context) {
        throw std::bad_alloc();
    }
    pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
    int error = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code* code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                     PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &error, &offset, context.get());
    if (!code) {
        throw Error(ErrorKind::unsupported,
                    "the pre-tokenizer's pattern could not be compiled (" + pcre2_message(error) +
                        "): " + printable(pattern, 120),
                    {.code = "TK-REGEX"});
    }
    // A failure only costs speed: some systems allow no memory that is both writable and executable.
    compiled_to_machine_code_ = pcre2_jit_compile(code, PCRE2_JIT_COMPLETE) == 0;
    code_ = std::shared_ptr<const pcre2_code>(
        code, [](const pcre2_code* held) { pcre2_code_free(const_cast<pcre2_code*>(held)); });
}

void RegexMatcher::release_data(pcre2_real_match_data_8* data) {
    pcre2_match_data_free(data);
}

void RegexMatcher::release_context(pcre2_real_match_context_8* context) {
    pcre2_match_context_free(context);
}

RegexMatcher::RegexMatcher(const Regex& regex)
    : regex_(regex), data_(pcre2_match_data_create(1, nullptr)),
      context_(pcre2_match_context_create(nullptr)) {
    if (!data_ || !context_) {
        throw std::bad_alloc();
    }
}

void RegexMatcher::start(std::string_view text) {
    text_ = text;
    at_ = 0;
    last_end_.reset();
    pcre2_set_match_limit(context_.get(), step_limit(text.size()));
}

std::optional<ByteRange> RegexMatcher::match_from(std::size_t begin) {
    const auto* code = regex_.code_.get();
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text_.data());
    int result = PCRE2_ERROR_JIT_STACKLIMIT;
    if (regex_.compiled_to_machine_code_) {
        result = pcre2_jit_match(code, subject, text_.size(), begin, 0, data_.get(), context_.get());
    }
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) {
        result = pcre2_match(code, subject, text_.size(), begin, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT,
                             data_.get(), context_.get());
    }
    if (result == PCRE2_ERROR_NOMATCH) {
        return std::nullopt;
    }
    if (result < 0) {
        throw Error(ErrorKind::resources,
                    "splitting the text at byte " + std::to_string(begin) + " failed (" +
                        pcre2_message(result) + ").",
                    {.code = "TK-REGEX-LIMIT"});
    }
    const PCRE2_SIZE* found = pcre2_get_ovector_pointer(data_.get());
    return ByteRange{found[0], std::max(found[0], found[1])};
}

std::optional<ByteRange> RegexMatcher::next() {
    while (at_ <= text_.size()) {
        const auto found = match_from(at_);
        if (!found) {
            at_ = text_.size() + 1;
            return std::nullopt;
        }
        if (found->empty() && last_end_ == found->end) {
            do { // on by one character
                ++at_;
            } while (at_ < text_.size() && (text_[at_] & 0xC0) == 0x80);
            continue;
        }
        at_ = found->end;
        last_end_ = found->end;
        return found;
    }
    return std::nullopt;
}

} // namespace ergo
