// SPDX-License-Identifier: GPL-3.0-or-later
// The files of a model's folder that make its tokenizer. A pure reader; nothing is kept open.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace ergo {

struct TokenizerFiles {
    std::optional<std::string> tokenizer_json;     ///< wins over the next two
    std::optional<std::string> vocab_json, merges; ///< both or neither
    std::string tokenizer_config_json;             ///< "" if there is none
    std::string chat_template_jinja;               ///< "" if there is none
};

/// Reads them. Throws Error: `io` F-IO, `resources` F-TOO-LARGE, `format` for only one of vocab.json and
/// merges.txt.
TokenizerFiles read_tokenizer_folder(const std::filesystem::path& folder);

} // namespace ergo
