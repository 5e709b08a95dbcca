// SPDX-License-Identifier: GPL-3.0-or-later
// tokenizer_config.json: which tokens play a part (beginning, end, padding, unknown), the chat template, and
// what a vocabulary without a tokenizer.json lacks. Plain values.
#pragma once

#include "engine/tokenizer/added_tokens.h"
#include "engine/tokenizer/tokenizer.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ergo {

/// A part in the file: not mentioned, said to be none (null), or a token's text.
struct NamedToken {
    bool mentioned = false;
    std::optional<std::string> text;
};

struct TokenizerConfig {
    NamedToken bos, eos, pad, unk;
    std::vector<std::string> additional_special; ///< additional_special_tokens
    std::vector<AddedToken> added;               ///< added_tokens_decoder
    std::string tokenizer_class;
    std::optional<bool> add_prefix_space;
    std::optional<bool> lower_case, strip_accents, chinese_characters; ///< of vocab.txt: do_lower_case …
    std::vector<ChatTemplateText> templates;                           ///< chat_template
    std::vector<std::pair<std::string, std::string>> named;            ///< all "*_token": name, text
};

/// Reads tokenizer_config.json; an empty `text` gives an empty configuration. Throws Error(format) when
/// malformed.
TokenizerConfig read_tokenizer_config(std::string_view text, const std::string& file);

/// Fills in what `config` does not mention from a special_tokens_map.json (older, of lower priority).
void add_special_tokens_map(TokenizerConfig& config, std::string_view text, const std::string& file);

/// Ids of the parts.
struct SpecialIds {
    std::optional<std::int32_t> bos, eos, pad, unk;
};

/// `id_of` finds a token by its text. A part the configuration does not mention goes to the first well-known
/// name that is a token.
SpecialIds resolve_special_ids(const TokenizerConfig& config,
                               const std::function<std::optional<std::int32_t>(std::string_view)>& id_of);

/// Well-known names of the token that ends a text, best first.
std::vector<std::string_view> well_known_eos();

} // namespace ergo
