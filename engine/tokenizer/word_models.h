// SPDX-License-Identifier: GPL-3.0-or-later
// The models beside byte-pair encoding: how a word becomes tokens (tokenizer.json, `model`). Immutable and
// shared.
#pragma once

#include "engine/tokenizer/flat_map.h"
#include "engine/tokenizer/vocabulary.h"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ergo {

/// WordPiece: the longest token from the left, again and again; a word that cannot be cut is unknown as a
/// whole.
class WordPieceModel {
  public:
    WordPieceModel(Vocabulary vocabulary, std::int32_t unk, std::string prefix, std::size_t longest_word);

    /// Appends the ids of `word`. O(n · longest token).
    void encode_word(std::string_view word, std::vector<std::int32_t>& out) const;

    const Vocabulary& vocabulary() const { return vocabulary_; }
    std::optional<std::int32_t> unk() const { return unk_; }
    const std::string& prefix() const { return prefix_; }

  private:
    Vocabulary vocabulary_;
    std::int32_t unk_;
    std::string prefix_;            // of a token that does not begin a word
    std::size_t longest_word_;      // characters; longer ones are unknown
    std::size_t longest_token_ = 0; // bytes
};

/// WordLevel: a word is a token, or unknown.
class WordLevelModel {
  public:
    WordLevelModel(Vocabulary vocabulary, std::optional<std::int32_t> unk)
        : vocabulary_(std::move(vocabulary)), unk_(unk) {}

    void encode_word(std::string_view word, std::vector<std::int32_t>& out) const;

    const Vocabulary& vocabulary() const { return vocabulary_; }
    std::optional<std::int32_t> unk() const { return unk_; }

  private:
    Vocabulary vocabulary_;
    std::optional<std::int32_t> unk_;
};

/// Unigram: of all ways to cut a word the one with the largest sum of scores.
class UnigramModel {
  public:
    /// `scores` [id]: logarithms of probabilities, one for each token of `vocabulary`.
    UnigramModel(Vocabulary vocabulary, std::vector<double> scores, std::optional<std::int32_t> unk,
                 bool byte_fallback);

    /// Appends the ids of `word`. O(n · longest token). Throws Error(format, TK-UNK) for a character that has
    /// no token when there is no unknown token either.
    void encode_word(std::string_view word, std::vector<std::int32_t>& out) const;

    const Vocabulary& vocabulary() const { return vocabulary_; }
    std::optional<std::int32_t> unk() const { return unk_; }

  private:
    void append(std::string_view piece, std::vector<std::int32_t>& out) const;

    Vocabulary vocabulary_;
    std::vector<double> scores_;
    std::optional<std::int32_t> unk_;
    double unknown_score_ = 0;
    FlatMap children_;                         // trie over bytes: node << 8 | byte -> node
    std::vector<std::int32_t> token_of_node_;  // [node]: the token that ends there, -1: none
    std::array<std::int32_t, 256> byte_ids_{}; // of "<0x00>" …, -1: none
};

} // namespace ergo
