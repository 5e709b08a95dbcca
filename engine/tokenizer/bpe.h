// SPDX-License-Identifier: GPL-3.0-or-later
// The byte-pair model: a word's characters are merged pairwise, lowest rank first and leftmost on ties, until
// no merge applies. A BpeModel is immutable and shared; BpeWork is one thread's working state and word cache.
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

/// tokenizer.json, `model` of type BPE, without vocabulary and merges.
struct BpeOptions {
    std::optional<std::int32_t> unk;       ///< stands for a character that has no token; none: it is dropped
    std::string continuing_subword_prefix; ///< before every character but a word's first
    std::string end_of_word_suffix;        ///< after a word's last character
    bool fuse_unk = false;                 ///< neighbouring unknown characters give one unk
    bool byte_fallback = false; ///< try the tokens "<0x00>"… for the bytes of an unknown character
    bool ignore_merges = false; ///< a word that is a token as a whole is that token
};

/// Buffers of one encode call, and what its words have given so far.
class BpeWork {
  public:
    /// The ids remembered for `word`; nullptr if it is not known.
    const std::int32_t* find(std::string_view word, std::size_t& count) const;

    /// Remembers ids for `word`, unless there is no more room.
    void remember(std::string_view word, const std::int32_t* ids, std::size_t count);

    /// Longer words are rare: they are not remembered.
    static constexpr std::size_t longest_word = 64; // bytes

  private:
    friend class BpeModel;
    static constexpr std::size_t most_words = 1 << 16;

    struct Slot {
        std::uint64_t hash = 0;
        std::uint32_t word = 0, ids = 0;          // offsets into words_ and ids_
        std::uint32_t word_length = 0, count = 0; // word_length 0: free
    };
    struct Symbol {
        std::int32_t id = 0;
        std::int32_t previous = -1, next = -1; // neighbours, -1 at the ends
    };

    std::size_t slot_for(std::string_view word, std::uint64_t hash) const;
    void grow();

    std::vector<Slot> slots_;
    std::size_t words_known_ = 0;
    std::string words_;
    std::vector<std::int32_t> ids_;

    std::vector<std::int32_t> start_;       // a word's symbols before merging
    std::vector<std::uint32_t> ranks_;      // [i]: of the pair that starts at symbol i
    std::vector<Symbol> symbols_;           // linked list, for long words
    std::vector<std::uint64_t> candidates_; // heap of rank << 32 | position
};

class BpeModel {
  public:
    BpeModel(Vocabulary vocabulary, BpeOptions options);

    enum class Merge { ok, left_unknown, right_unknown, result_unknown };

    /// Adds the next merge (its rank is the number of merges before it); for loading only.
    Merge add_merge(std::string_view left, std::string_view right);

    /// Appends the ids of `word`. `raw_bytes`: its bytes stand for characters of the byte alphabet; else it
    /// is UTF-8. O(n log n) in the word's length, below 2^31 bytes.
    void encode_word(std::string_view word, bool raw_bytes, BpeWork& work,
                     std::vector<std::int32_t>& out) const;

    const Vocabulary& vocabulary() const { return vocabulary_; }
    const BpeOptions& options() const { return options_; }

  private:
    struct Pair {
        std::uint32_t rank = 0;
        std::int32_t id = 0; // of the merged token
    };
    static constexpr std::uint32_t no_rank = ~std::uint32_t{0};

    static std::uint64_t key(std::int32_t left, std::int32_t right) {
        return static_cast<std::uint64_t>(left) << 32 | static_cast<std::uint32_t>(right);
    }
    Pair pair(std::int32_t left, std::int32_t right) const;
    void start_from_bytes(std::string_view word, std::vector<std::int32_t>& out) const;
    void start_from_characters(std::string_view word, std::vector<std::int32_t>& out) const;
    void merge_short(BpeWork& work) const;
    void merge_long(BpeWork& work) const;

    Vocabulary vocabulary_;
    BpeOptions options_;
    FlatMap merges_; // key(left, right) -> rank << 32 | id
    std::uint32_t merge_count_ = 0;
    std::array<std::int32_t, 256> byte_ids_;     // token of each byte's character, -1: none
    std::array<std::int32_t, 256> fallback_ids_; // token "<0x00>"… of each byte, -1: none
    bool simple_bytes_ = false;                  // raw bytes need byte_ids_ alone
};

} // namespace ergo
