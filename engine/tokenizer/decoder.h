// SPDX-License-Identifier: GPL-3.0-or-later
// Decoders: what tokens read as in a text (tokenizer.json, `decoder`). A plain value, any thread.
#pragma once

#include "engine/tokenizer/regex.h"

#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ergo {

struct ByteLevelDecoder {}; ///< characters of the byte alphabet are bytes
struct WordPieceDecoder {
    std::string prefix = "##"; ///< continues a word; any other token begins one, after a space
    bool cleanup = true;       ///< no space before punctuation
};
struct MetaspaceDecoder {
    std::string replacement = "\u2581"; ///< is a space, but for the first of the text
    bool drop_first = true;
};
struct BpeDecoder {
    std::string suffix = "</w>"; ///< ends a word: a space, but at the end
};
struct ByteFallbackDecoder {}; ///< "<0xE6>" is a byte; a run of them that is no UTF-8 gives U+FFFD each
struct ReplaceDecoder {
    std::variant<std::string, Regex> pattern;
    std::string content;
};
struct FuseDecoder {}; ///< all tokens become one text
struct StripDecoder {
    std::string content = " ";       ///< one character
    std::size_t start = 0, stop = 0; ///< at most so many go at each end
};
struct CtcDecoder {
    std::string pad = "<pad>", delimiter = "|";
    bool cleanup = true;
};

using DecoderStep = std::variant<ByteLevelDecoder, WordPieceDecoder, MetaspaceDecoder, BpeDecoder,
                                 ByteFallbackDecoder, ReplaceDecoder, FuseDecoder, StripDecoder, CtcDecoder>;

struct Decoder {
    /// The simple case: every token has its own bytes, whatever its neighbours. With `byte_level` characters
    /// of the byte alphabet become bytes; a token with any other character stands for its own UTF-8.
    bool byte_level = false;
    /// Between tokens; a file without a decoder puts a space there.
    std::string separator;
    /// Otherwise: what is done, in order, to the list of tokens.
    std::vector<DecoderStep> chain;

    bool is_chain() const { return !chain.empty(); }
    /// The bytes a token stands for; in a chain: within a text, about.
    std::string bytes_of(std::string_view token) const;
    /// Text of tokens, by the chain.
    std::string decode(std::vector<std::string> tokens) const;
    /// Whether a token's text waits for the token after it.
    bool waits(std::string_view token) const;
};

} // namespace ergo
