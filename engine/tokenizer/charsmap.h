// SPDX-License-Identifier: GPL-3.0-or-later
// The precompiled character map of SentencePiece models: a trie from short texts to what replaces them.
// Immutable, any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ergo {

class Charsmap {
  public:
    /// From `base64` (tokenizer.json, `precompiled_charsmap`); nullopt when it is malformed.
    static std::optional<Charsmap> read(std::string_view base64);

    /// Calls put(bytes, source) for all of `text` in order: each grapheme of up to five bytes, else each of
    /// its characters, as the map has it.
    void apply(std::string_view text, const std::function<void(std::string_view, std::size_t)>& put) const;

  private:
    std::optional<std::string_view> find(std::string_view text) const;

    std::vector<std::uint32_t> units_; // a double array
    std::string texts_;                // ended by zeros
};

} // namespace ergo
