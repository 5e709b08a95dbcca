// SPDX-License-Identifier: GPL-3.0-or-later
// Pre-tokenizers: a text cut into the pieces within which the model merges (tokenizer.json, `pre_tokenizer`).
// A Pretokenizer is immutable and shared; a PretokenizerRun is one thread's working state over it.
#pragma once

#include "engine/tokenizer/regex.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ergo {

/// What becomes of the stretches that a Split's pattern matches.
enum class SplitBehavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// Split {pattern, behavior, invert}.
struct SplitStep {
    Regex pattern;
    SplitBehavior behavior = SplitBehavior::isolated;
    bool invert = false; ///< the pattern describes the pieces, not what is between them
};

/// Digits {individual_digits}: every number character by itself, or runs of them.
struct DigitsStep {
    bool individual = false;
};

/// ByteLevel {add_prefix_space, use_regex}: GPT-2's pattern, then each byte as a character of the byte
/// alphabet.
struct ByteLevelStep {
    bool add_prefix_space = true;
    bool use_regex = true;
};

/// Metaspace {replacement, prepend_scheme, split}: spaces become a visible character, which may be put first.
struct MetaspaceStep {
    enum class Prepend : std::uint8_t { always, first, never }; ///< first: to the text's beginning only
    std::string replacement = "\u2581";
    Prepend prepend = Prepend::always;
    bool split = true; ///< before each replacement
};

/// FixedLength {length}: pieces of so many characters.
struct FixedLengthStep {
    std::size_t length = 5;
};

/// UnicodeScripts: pieces of one script. A space goes with what is before it and is lost at the beginning.
struct UnicodeScriptsStep {};

using PretokenizerStep =
    std::variant<SplitStep, DigitsStep, ByteLevelStep, MetaspaceStep, FixedLengthStep, UnicodeScriptsStep>;

class Pretokenizer {
  public:
    Pretokenizer() = default; ///< no step: the whole text is one piece
    explicit Pretokenizer(std::vector<PretokenizerStep> steps);

    /// True: the pieces of a run are raw bytes that stand for characters of the byte alphabet (the last step
    /// is ByteLevel, whose mapping is left to the reader). False: they are characters.
    bool gives_bytes() const;

  private:
    friend class PretokenizerRun;
    std::vector<PretokenizerStep> steps_;
    std::vector<std::shared_ptr<const Regex>> patterns_; // [step], null where a step has none
};

class PretokenizerRun {
  public:
    /// `pretokenizer` outlives the run.
    explicit PretokenizerRun(const Pretokenizer& pretokenizer);

    /// Cuts `text` (valid UTF-8, outlives the reading of the pieces). Linear time for the published patterns.
    /// `track`: begin() will be asked for. `at_start`: the text begins where all of it begins.
    void split(std::string_view text, bool track = false, bool at_start = true);

    std::size_t count() const { return spans_.size(); }
    std::string_view piece(std::size_t i) const {
        return text_.substr(spans_[i].begin, spans_[i].end - spans_[i].begin);
    }
    /// Where in the given text byte `offset` of piece i came from.
    std::size_t begin(std::size_t i, std::size_t offset) const {
        const std::size_t at = spans_[i].begin + offset;
        return origin_.empty() ? at : origin_[std::min(at, origin_.size() - 1)];
    }

  private:
    struct Part {
        ByteRange range;
        bool match = false;
    };

    class Rewriter;
    template <class Rewrite> void rewrite_pieces(Rewrite rewrite);
    void apply(const SplitStep& step, std::size_t index);
    void apply(const DigitsStep& step, std::size_t index);
    void apply(const ByteLevelStep& step, std::size_t index);
    void apply(const MetaspaceStep& step, std::size_t index);
    void apply(const FixedLengthStep& step, std::size_t index);
    void apply(const UnicodeScriptsStep& step, std::size_t index);
    void split_by_pattern(std::size_t index, SplitBehavior behavior, bool invert);
    void keep_parts(SplitBehavior behavior);

    const Pretokenizer& pretokenizer_;
    std::vector<std::unique_ptr<RegexMatcher>> matchers_; // [step], null where a step has no pattern
    std::string_view text_;                               // what the spans point into
    std::string owned_;                                   // behind text_ once a step has rewritten it
    std::vector<ByteRange> spans_, next_spans_;           // pieces before and after a step
    bool track_ = false, at_start_ = true;
    std::vector<std::uint32_t> origin_; // [byte of text_] once a step has rewritten it, if tracked
    std::vector<Part> parts_;           // of one piece
};

/// The pattern of ByteLevel, in the reference's syntax.
std::string_view gpt2_pattern();

} // namespace ergo
