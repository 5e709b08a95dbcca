// SPDX-License-Identifier: GPL-3.0-or-later
// Files that a person gives a model from another place: used as if they stood beside its weights, whose
// folder stays as it is. Values; any thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>

namespace ergo {

enum class AttachmentKind : std::uint8_t { tokenizer, chat_template, masses };

struct Attachment {
    AttachmentKind kind = AttachmentKind::tokenizer;
    std::filesystem::path file;

    bool operator==(const Attachment&) const = default;
};

/// What a file's name says it could be given to a model as: tokenizer.json, tokenizer_config.json,
/// vocab.json, merges.txt and vocab.txt; *.jinja; a PyTorch file with "mass" in its name. Reads nothing.
std::optional<AttachmentKind> attachment_by_name(const std::filesystem::path& file);

/// The same, and where the name says nothing the first bytes decide (a PyTorch file: masses; JSON: a
/// tokenizer.json). Throws Error: `io` F-IO for a file that is not there or cannot be read, `usage` F-UNKNOWN
/// for one that is nothing of the kind.
Attachment as_attachment(const std::filesystem::path& file);

/// Which small file of a model (a bare name) is read from where; nullopt: not at all, although one may stand
/// beside the weights. A tokenizer comes with what belongs to it from its own folder: merges.txt and
/// vocab.json find each other, tokenizer_config.json, special_tokens_map.json, added_tokens.json and the chat
/// template come along where they are. Throws Error(io, F-IO).
std::map<std::string, std::optional<std::filesystem::path>> side_files_of(const Attachment& attachment);

} // namespace ergo
