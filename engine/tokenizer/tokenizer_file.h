// SPDX-License-Identifier: GPL-3.0-or-later
// Readers of the forms a tokenizer comes in: tokenizer.json, vocab.json with merges.txt, vocab.txt, or the
// flat table that GGUF metadata holds. Pure functions that give the pipeline's parts; every check of what a
// file says is made here.
#pragma once

#include "engine/tokenizer/added_tokens.h"
#include "engine/tokenizer/decoder.h"
#include "engine/tokenizer/model.h"
#include "engine/tokenizer/normalizer.h"
#include "engine/tokenizer/post_processor.h"
#include "engine/tokenizer/pretokenizer.h"
#include "engine/tokenizer/special_tokens.h"
#include "engine/tokenizer/token_table.h"

#include <optional>
#include <string>
#include <string_view>

namespace ergo {

/// The pipeline: added tokens are cut out, the rest is normalized, split and encoded; ids are post-processed.
struct Pipeline {
    TokenModel model;
    AddedTokens added;
    Normalizer normalizer;
    Pretokenizer pretokenizer;
    PostProcessor post_processor;
    Decoder decoder;
    std::vector<std::string> warnings{};
};

/// Errors: see Tokenizer::from_json.
Pipeline read_tokenizer_json(std::string_view text, const std::string& file);

/// Errors: see Tokenizer::from_vocab_and_merges.
Pipeline read_vocab_and_merges(std::string_view vocab_json, std::string_view merges_txt,
                               const TokenizerConfig& config, const std::string& file);

/// Errors: see Tokenizer::from_vocab_txt.
Pipeline read_vocab_txt(std::string_view text, const TokenizerConfig& config, const std::string& file);

/// Errors: see Tokenizer::from_table.
Pipeline read_token_table(const TokenTable& table, const std::string& file);

/// How texts are split, for forms that only name it. `normalizer` is the one that goes with it.
struct KnownSplit {
    Normalizer normalizer;
    Pretokenizer pretokenizer;
};
/// GPT-2's way, or the one with every digit by itself.
/// The published pattern of single_digit_split, in the reference's syntax.
std::string_view single_digit_pattern();
KnownSplit gpt2_split(bool add_prefix_space);
KnownSplit single_digit_split(bool add_prefix_space);

} // namespace ergo
