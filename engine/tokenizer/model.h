// SPDX-License-Identifier: GPL-3.0-or-later
// One of the models a tokenizer may have. Immutable and shared; ModelWork is one thread's working state.
#pragma once

#include "engine/tokenizer/bpe.h"
#include "engine/tokenizer/word_models.h"

#include <string>
#include <variant>

namespace ergo {

class TokenModel {
  public:
    using Any = std::variant<BpeModel, WordPieceModel, WordLevelModel, UnigramModel>;
    TokenModel(Any model) : model_(std::move(model)) {} // NOLINT: converts on purpose

    /// Appends the ids of `word`. `raw_bytes`: its bytes stand for characters of the byte alphabet.
    void encode_word(std::string_view word, bool raw_bytes, BpeWork& work,
                     std::vector<std::int32_t>& out) const;

    const Vocabulary& vocabulary() const;
    std::optional<std::int32_t> unk() const;
    std::string name() const; ///< "BPE", "WordPiece", "WordLevel", "Unigram"

  private:
    Any model_;
};

} // namespace ergo
