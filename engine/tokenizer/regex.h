// SPDX-License-Identifier: GPL-3.0-or-later
// A compiled regular expression (PCRE2, just-in-time compiled where the machine allows it) and a matcher for
// it. A Regex is immutable and may be shared; a RegexMatcher belongs to one thread.
#pragma once

#include "engine/tokenizer/byte_range.h"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct pcre2_real_code_8;
struct pcre2_real_match_data_8;
struct pcre2_real_match_context_8;

namespace ergo {

class Regex {
  public:
    /// `pattern` in PCRE2's syntax (see regex_syntax.h). Throws Error(unsupported, TK-REGEX) if PCRE2 refuses
    /// it.
    explicit Regex(const std::string& pattern);

  private:
    friend class RegexMatcher;
    std::shared_ptr<const pcre2_real_code_8> code_;
    bool compiled_to_machine_code_ = false;
};

/// Finds the matches of one expression (which outlives the matcher) in one text after another, left to right.
class RegexMatcher {
  public:
    explicit RegexMatcher(const Regex& regex);

    /// Begins anew on `text`: valid UTF-8 that outlives the calls of next(). Nothing outside it is seen.
    void start(std::string_view text);

    /// The next match, or nullopt. An empty match that touches the match before it is passed over.
    /// Throws Error(resources, TK-REGEX-LIMIT) when the expression needs too many steps.
    std::optional<ByteRange> next();

  private:
    template <auto release> struct Release {
        template <class T> void operator()(T* pointer) const { release(pointer); }
    };
    static void release_data(pcre2_real_match_data_8* data);
    static void release_context(pcre2_real_match_context_8* context);

    std::optional<ByteRange> match_from(std::size_t begin);

    const Regex& regex_;
    std::string_view text_;
    std::size_t at_ = 0;
    std::optional<std::size_t> last_end_;
    std::unique_ptr<pcre2_real_match_data_8, Release<&RegexMatcher::release_data>> data_;
    std::unique_ptr<pcre2_real_match_context_8, Release<&RegexMatcher::release_context>> context_;
};

} // namespace ergo
