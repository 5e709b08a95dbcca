// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/pretokenizer.h"

#include "engine/base/utf8.h"
#include "engine/tokenizer/byte_alphabet.h"
#include "engine/tokenizer/regex_syntax.h"
#include "engine/tokenizer/unicode_properties.h"
#include "engine/tokenizer/unicode_scripts.h"

#include <algorithm>

namespace ergo {

std::string_view gpt2_pattern() {
    return R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
}

Pretokenizer::Pretokenizer(std::vector<PretokenizerStep> steps) : steps_(std::move(steps)) {
    for (const PretokenizerStep& step : steps_) {
        std::shared_ptr<const Regex> pattern;
        if (const auto* split = std::get_if<SplitStep>(&step)) {
            pattern = std::make_shared<const Regex>(split->pattern);
        } else if (const auto* bytes = std::get_if<ByteLevelStep>(&step); bytes && bytes->use_regex) {
            pattern = std::make_shared<const Regex>(translate_regex(gpt2_pattern()));
        }
        patterns_.push_back(std::move(pattern));
    }
}

bool Pretokenizer::gives_bytes() const {
    return !steps_.empty() && std::holds_alternative<ByteLevelStep>(steps_.back());
}

PretokenizerRun::PretokenizerRun(const Pretokenizer& pretokenizer) : pretokenizer_(pretokenizer) {
    for (const auto& pattern : pretokenizer.patterns_) {
        matchers_.push_back(pattern ? std::make_unique<RegexMatcher>(*pattern) : nullptr);
    }
}

void PretokenizerRun::split(std::string_view text, bool track, bool at_start) {
    text_ = text;
    track_ = track;
    at_start_ = at_start;
    origin_.clear();
    spans_.clear();
    if (!text.empty()) {
        spans_.push_back({0, text.size()});
    }
    for (std::size_t i = 0; i < pretokenizer_.steps_.size(); ++i) {
        std::visit([&](const auto& step) { apply(step, i); }, pretokenizer_.steps_[i]);
    }
}

// The new text of a piece, and where it came from.
class PretokenizerRun::Rewriter {
  public:
    explicit Rewriter(const PretokenizerRun& run) : run_(run) { text.reserve(run.text_.size() + 16); }

    // `bytes` stand for what begins at byte `source` of the piece; `copied`: they are its bytes one by one.
    void put(std::string_view bytes, std::size_t source, bool copied = false) {
        text += bytes;
        for (std::size_t i = 0; run_.track_ && i < bytes.size(); ++i) {
            const std::size_t at = piece + source + (copied ? i : 0);
            origin.push_back(run_.origin_.empty() ? static_cast<std::uint32_t>(at) : run_.origin_[at]);
        }
    }

    std::string text;
    std::vector<std::uint32_t> origin;
    std::size_t piece = 0; // where it begins

  private:
    const PretokenizerRun& run_;
};

// Replaces every piece by what `rewrite(piece, out)` puts for it.
template <class Rewrite> void PretokenizerRun::rewrite_pieces(Rewrite rewrite) {
    Rewriter out(*this);
    for (ByteRange& span : spans_) {
        const std::size_t begin = out.text.size();
        out.piece = span.begin;
        rewrite(text_.substr(span.begin, span.end - span.begin), out);
        span = {begin, out.text.size()};
    }
    owned_ = std::move(out.text);
    origin_ = std::move(out.origin);
    text_ = owned_;
}

void PretokenizerRun::apply(const SplitStep& step, std::size_t index) {
    split_by_pattern(index, step.behavior, step.invert);
}

void PretokenizerRun::apply(const DigitsStep& step, std::size_t) {
    next_spans_.clear();
    for (const ByteRange& span : spans_) {
        parts_.clear();
        std::size_t begin = span.begin; // of what has not become a part yet
        for (std::size_t at = span.begin; at < span.end;) {
            const auto byte = static_cast<unsigned char>(text_[at]);
            const Utf8Char c = byte < 0x80 ? Utf8Char{byte, 1, true, false} : decode_utf8(text_, at);
            if (is_number(c.code_point)) {
                if (begin < at) {
                    parts_.push_back({{begin, at}, false});
                }
                begin = at + c.length;
                parts_.push_back({{at, begin}, true});
            }
            at += c.length;
        }
        if (begin < span.end) {
            parts_.push_back({{begin, span.end}, false});
        }
        keep_parts(step.individual ? SplitBehavior::isolated : SplitBehavior::contiguous);
    }
    spans_.swap(next_spans_);
}

void PretokenizerRun::apply(const ByteLevelStep& step, std::size_t index) {
    const auto lacks_space = [&](const ByteRange& span) { return text_[span.begin] != ' '; };
    if (step.add_prefix_space && std::any_of(spans_.begin(), spans_.end(), lacks_space)) {
        rewrite_pieces([](std::string_view piece, Rewriter& out) {
            if (piece.front() != ' ') {
                out.put(" ", 0);
            }
            out.put(piece, 0, true);
        });
    }
    if (step.use_regex) {
        split_by_pattern(index, SplitBehavior::isolated, false);
    }
    if (index + 1 < pretokenizer_.steps_.size()) { // a later step sees the characters
        rewrite_pieces([](std::string_view piece, Rewriter& out) {
            for (std::size_t i = 0; i < piece.size(); ++i) {
                out.put(bytes_to_alphabet(piece.substr(i, 1)), i);
            }
        });
    }
}

void PretokenizerRun::apply(const MetaspaceStep& step, std::size_t) {
    const std::string& mark = step.replacement;
    rewrite_pieces([&](std::string_view piece, Rewriter& out) {
        const bool first = at_start_ && out.piece == 0;
        const bool has_mark = piece.front() == ' ' || piece.starts_with(mark);
        if (!has_mark && (step.prepend == MetaspaceStep::Prepend::always ||
                          (step.prepend == MetaspaceStep::Prepend::first && first))) {
            out.put(mark, 0);
        }
        for (std::size_t at = 0; at < piece.size();) {
            const std::size_t end = std::min(piece.find(' ', at), piece.size());
            out.put(piece.substr(at, end - at), at, true);
            if (end < piece.size()) {
                out.put(mark, end);
            }
            at = end + 1;
        }
    });
    if (!step.split) {
        return;
    }
    next_spans_.clear();
    for (const ByteRange& span : spans_) {
        parts_.clear();
        std::size_t begin = span.begin;
        for (std::size_t at = text_.find(mark, begin); at < span.end; at = text_.find(mark, begin)) {
            if (begin < at) {
                parts_.push_back({{begin, at}, false});
            }
            begin = at + mark.size();
            parts_.push_back({{at, begin}, true});
        }
        if (begin < span.end) {
            parts_.push_back({{begin, span.end}, false});
        }
        keep_parts(SplitBehavior::merged_with_next);
    }
    spans_.swap(next_spans_);
}

void PretokenizerRun::apply(const FixedLengthStep& step, std::size_t) {
    next_spans_.clear();
    for (const ByteRange& span : spans_) {
        std::size_t begin = span.begin, characters = 0;
        for (std::size_t at = span.begin; at < span.end;) {
            at += decode_utf8(text_, at).length;
            if (++characters == step.length || at >= span.end) {
                next_spans_.push_back({begin, at});
                begin = at;
                characters = 0;
            }
        }
    }
    spans_.swap(next_spans_);
}

void PretokenizerRun::apply(const UnicodeScriptsStep&, std::size_t) {
    next_spans_.clear();
    for (const ByteRange& span : spans_) {
        int script = 0; // of the piece that is open, 0: none is
        std::size_t begin = span.begin;
        for (std::size_t at = span.begin; at < span.end;) {
            const Utf8Char c = decode_utf8(text_, at);
            const int own = script_of(c.code_point);
            if (own != 0 && own != script) {
                if (script != 0) {
                    next_spans_.push_back({begin, at});
                }
                begin = at;
                script = own;
            }
            at += c.length;
        }
        if (script != 0) {
            next_spans_.push_back({begin, span.end});
        }
    }
    spans_.swap(next_spans_);
}

void PretokenizerRun::split_by_pattern(std::size_t index, SplitBehavior behavior, bool invert) {
    RegexMatcher& matcher = *matchers_[index];
    std::string replaced;
    std::string_view shown = text_; // same lengths as text_
    if (has_young_character(text_)) {
        replaced = with_stand_ins(text_);
        shown = replaced;
    }
    next_spans_.clear();
    for (const ByteRange& span : spans_) {
        parts_.clear();
        std::size_t begin = span.begin;
        matcher.start(shown.substr(span.begin, span.end - span.begin));
        while (const auto found = matcher.next()) {
            const ByteRange match{span.begin + found->begin, span.begin + found->end};
            if (begin != match.begin) {
                parts_.push_back({{begin, match.begin}, invert});
            }
            parts_.push_back({match, !invert});
            begin = match.end;
        }
        if (begin != span.end) {
            parts_.push_back({{begin, span.end}, invert});
        }
        keep_parts(behavior);
    }
    spans_.swap(next_spans_);
}

// Appends parts_ (which cover one piece) to next_spans_ as `behavior` has it; empty ones vanish.
void PretokenizerRun::keep_parts(SplitBehavior behavior) {
    const std::size_t first = next_spans_.size();
    bool previous_match = false;
    const auto add = [&](const Part& part, bool join) {
        if (join && next_spans_.size() > first) {
            ByteRange& last = next_spans_.back();
            last = {std::min(last.begin, part.range.begin), std::max(last.end, part.range.end)};
        } else {
            next_spans_.push_back(part.range);
        }
        previous_match = part.match;
    };
    switch (behavior) {
    case SplitBehavior::removed:
        for (const Part& part : parts_) {
            if (!part.match) {
                next_spans_.push_back(part.range);
            }
        }
        break;
    case SplitBehavior::isolated:
        for (const Part& part : parts_) {
            next_spans_.push_back(part.range);
        }
        break;
    case SplitBehavior::contiguous:
        for (const Part& part : parts_) {
            add(part, part.match == previous_match);
        }
        break;
    case SplitBehavior::merged_with_previous:
        for (const Part& part : parts_) {
            add(part, part.match && !previous_match);
        }
        break;
    case SplitBehavior::merged_with_next:
        for (auto part = parts_.rbegin(); part != parts_.rend(); ++part) {
            add(*part, part->match && !previous_match);
        }
        std::reverse(next_spans_.begin() + static_cast<std::ptrdiff_t>(first), next_spans_.end());
        break;
    }
    const auto empty = [](const ByteRange& span) { return span.empty(); };
    next_spans_.erase(
        std::remove_if(next_spans_.begin() + static_cast<std::ptrdiff_t>(first), next_spans_.end(), empty),
        next_spans_.end());
}

} // namespace ergo
