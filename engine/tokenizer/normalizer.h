// SPDX-License-Identifier: GPL-3.0-or-later
// The normalizer of a tokenizer.json: a text changed before it is split. A plain value, any thread may apply
// it.
#pragma once

#include "engine/tokenizer/charsmap.h"
#include "engine/tokenizer/regex.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ergo {

/// A text and, if tracked, for each of its bytes which byte of the original it came from, about.
struct NormalText {
    std::string text;
    bool track = false;
    std::vector<std::uint32_t> origin;
    std::size_t limit = 0; ///< of `text`, in bytes

    /// Appends `bytes` that stand for what is at `source`. Throws Error(resources, TK-LIMIT) beyond the
    /// limit.
    void put(std::string_view bytes, std::uint32_t source) {
        if (bytes.size() > limit - text.size()) {
            too_long();
        }
        text += bytes;
        if (track) {
            origin.resize(text.size(), source);
        }
    }
    std::uint32_t origin_of(std::size_t byte) const {
        return track && byte < origin.size() ? origin[byte] : 0;
    }

  private:
    [[noreturn]] void too_long() const;
};

enum class UnicodeForm : std::uint8_t { nfc, nfd, nfkc, nfkd };

struct FormStep {
    UnicodeForm form = UnicodeForm::nfc;
};
struct LowercaseStep {};
struct StripStep { ///< white space at the ends
    bool left = true, right = true;
};
struct StripAccentsStep { ///< all combining marks
    bool decompose_first = false, spacing_too = true;
};
struct NmtStep {}; ///< control characters dropped, odd blanks made spaces
struct ReplaceStep {
    std::variant<std::string, Regex> pattern;
    std::string content;
};
struct PrependStep { ///< before a text that is not empty
    std::string text;
};
struct AlphabetStep {}; ///< ByteLevel: each byte as its character of the byte alphabet
struct PrecompiledStep {
    std::shared_ptr<const Charsmap> map;
};
struct CleanTextStep {};         ///< BertNormalizer: no control characters, every blank a space
struct ChineseCharactersStep {}; ///< BertNormalizer: spaces around them

using NormalizerStep =
    std::variant<FormStep, LowercaseStep, StripStep, StripAccentsStep, NmtStep, ReplaceStep, PrependStep,
                 AlphabetStep, PrecompiledStep, CleanTextStep, ChineseCharactersStep>;

class Normalizer {
  public:
    Normalizer() = default;
    explicit Normalizer(std::vector<NormalizerStep> steps) : steps_(std::move(steps)) {}

    /// Whether apply() leaves `text` (valid UTF-8) as it is. False may only mean that it is worth trying.
    bool leaves_alone(std::string_view text) const;

    /// `text` (valid UTF-8) changed by every step in turn. O(n log n). `origin`, if given: for each byte of
    /// the result, which byte of `text` it came from, about. Throws Error(resources, TK-LIMIT) when steps
    /// make more than 32 times the text of it and 64 KiB.
    std::string apply(std::string_view text, std::vector<std::uint32_t>* origin = nullptr) const;

  private:
    std::vector<NormalizerStep> steps_;
};

} // namespace ergo
