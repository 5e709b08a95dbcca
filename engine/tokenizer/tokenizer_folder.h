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

/// Where templates with names lie in a model's folder.
inline constexpr const char* named_templates = "additional_chat_templates";
/// The templates in `files` (*.jinja of that folder), called like them; of at most 64. Errors as above.
std::vector<ChatTemplateText> read_named_templates(const std::vector<std::filesystem::path>& files);
/// Those files for a tokenizer's `folder`, by name.
std::vector<std::filesystem::path> named_templates_of(const std::filesystem::path& folder);

} // namespace ergo
