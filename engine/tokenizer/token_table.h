// SPDX-License-Identifier: GPL-3.0-or-later
// A tokenizer as one flat table, the way GGUF metadata holds it: every token with its kind, the merges, and
// the name of a known way to split texts. Plain values; the texts are views that their owner keeps.
#pragma once

#include "engine/tokenizer/special_tokens.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ergo {

struct TokenTable {
    /// The numbers of the file format.
    enum class Kind : std::int64_t {
        normal = 1,
        unknown = 2,
        control = 3,
        user_defined = 4,
        unused = 5,
        byte = 6
    };

    std::string model;                    ///< "gpt2": byte-level BPE
    std::string split;                    ///< "qwen2", "gpt-2": how texts are split before merging
    std::vector<std::string_view> tokens; ///< [id], in the byte alphabet unless control or user-defined
    std::vector<std::int64_t> kinds;      ///< [id], numbers of Kind; empty: all are normal
    std::vector<std::string_view> merges; ///< "a b", by rank
    std::optional<std::int64_t> bos, eos, pad, unk; ///< ids
    bool add_bos = false, add_eos = false;          ///< around a text whose special tokens are asked for
    bool add_prefix_space = false;
    std::string chat_template;
};

/// Which tokens play a part, as a configuration file would say it. The ids are in range.
TokenizerConfig config_of(const TokenTable& table);

/// The same tokenizer as the two files of a model's folder: tokenizer.json and tokenizer_config.json.
struct TokenizerFiles {
    std::string tokenizer_json, config_json;
};
/// Throws as Tokenizer::from_table.
TokenizerFiles files_of(const TokenTable& table, const std::string& file_name);

} // namespace ergo
