// SPDX-License-Identifier: GPL-3.0-or-later
// Added tokens: texts that are cut out before the model sees anything (tokenizer.json, `added_tokens`).
// Built by one thread, then only read, by any.
#pragma once

#include "engine/tokenizer/byte_range.h"
#include "engine/tokenizer/flat_map.h"
#include "engine/tokenizer/normalizer.h"
#include "engine/tokenizer/vocabulary.h"

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ergo {

struct AddedToken {
    std::int32_t id = 0;
    std::string content;
    bool single_word = false; ///< no match if a word character touches it
    bool lstrip = false;      ///< takes the white space on its left
    bool rstrip = false;      ///< takes the white space on its right
    bool normalized = false;  ///< looked for, in its normal form, in the normalized text
    bool special = false;     ///< may be left out when decoding, may be ignored in text
};

/// A stretch of text: an added token, or what lies between two of them.
struct TextPart {
    std::optional<std::int32_t> token;
    std::string_view text; ///< of what lies between
    std::size_t begin = 0; ///< in the text that was cut
};

/// In which parts of a text special tokens count.
struct SpecialMatching {
    bool anywhere = true;             ///< false: nowhere
    std::span<const ByteRange> plain; ///< sorted; not in a match that touches one of these
    bool allows(std::size_t begin, std::size_t end) const;
};

class AddedTokens {
  public:
    /// Longer contents are refused by the reader: matching takes time in proportion to them.
    static constexpr std::size_t longest_content = 4096; // bytes

    AddedTokens() = default;
    AddedTokens(std::vector<AddedToken> tokens, const Normalizer& normalizer);

    /// Cuts `text` (valid UTF-8) at added tokens; the leftmost match wins, then the longest. `normalized`
    /// chooses those that are looked for in normalized text. Special ones stay text where `special` says so.
    void split(std::string_view text, bool normalized, const SpecialMatching& special,
               std::vector<TextPart>& out) const;

    const AddedToken* find(std::int32_t id) const;
    std::optional<std::int32_t> id_of(std::string_view content) const { return vocabulary_.find(content); }

    /// What `token` reads as: its content, in normal form if it is looked for in that.
    static std::string surface(const AddedToken& token, const Normalizer& normalizer);

    const std::vector<AddedToken>& tokens() const { return tokens_; }

  private:
    /// Prefix tree over bytes.
    class Trie {
      public:
        void add(std::string_view pattern, std::size_t token);
        bool empty() const { return tokens_.size() == 1; }
        bool may_start_with(char byte) const { return starts_[static_cast<unsigned char>(byte)]; }
        struct Match {
            std::size_t token = 0, length = 0;
        };
        std::optional<Match> longest_at(std::string_view text, std::size_t at) const;

      private:
        static constexpr std::int64_t none = -1;
        FlatMap children_;                       // node << 8 | byte -> node
        std::vector<std::int64_t> tokens_{none}; // [node]: the pattern that ends there
        std::array<bool, 256> starts_{};
    };

    std::vector<AddedToken> tokens_;
    Vocabulary vocabulary_; // of contents
    FlatMap index_of_id_;   // id -> index into tokens_
    Trie raw_, normalized_;
};

} // namespace ergo
