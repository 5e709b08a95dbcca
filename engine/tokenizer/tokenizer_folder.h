// SPDX-License-Identifier: GPL-3.0-or-later
// The files of a model's folder that make its tokenizer. Pure readers; nothing is kept open.
#pragma once

#include "engine/tokenizer/tokenizer.h"

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace ergo {

/// One file of `folder`; nullopt when it is not there. Throws Error: `io` F-IO, `resources` F-TOO-LARGE.
std::optional<std::string> read_side_file(const std::filesystem::path& folder, const std::string& name);

/// The templates of its folder additional_chat_templates, by name. Errors as above.
std::vector<ChatTemplateText> read_named_templates(const std::filesystem::path& folder);

} // namespace ergo
