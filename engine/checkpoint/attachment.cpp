// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/attachment.h"

#include "engine/base/error.h"
#include "engine/checkpoint/mapped_file.h"
#include "engine/checkpoint/sniff.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

namespace ergo {

namespace {

namespace fs = std::filesystem;

// What tells a text from ids, what goes with it, and what puts turns into words.
constexpr std::array vocabularies{"tokenizer.json", "vocab.json", "merges.txt", "vocab.txt"};
constexpr std::array companions{"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"};
constexpr std::array templates{"chat_template.jinja", "chat_template.json"};
constexpr const char* masses = "gravity_mass_log.pt";

template <std::size_t n> bool is_one_of(const std::array<const char*, n>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

std::string lower(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
}

bool is_file(const fs::path& path) {
    std::error_code ignored;
    return fs::is_regular_file(path, ignored);
}

void require_file(const fs::path& file) {
    if (!is_file(file)) {
        throw Error(ErrorKind::io, "there is no such file to attach.",
                    {.code = "F-IO",
                     .file = printable(file.filename().string()),
                     .advice = "Check the name; it may have been moved or deleted."});
    }
}

/// The file that a tokenizer's own is read as.
std::string vocabulary_name(const fs::path& file) {
    const std::string name = file.filename().string();
    if (is_one_of(vocabularies, name)) {
        return name;
    }
    return lower(file.extension().string()) == ".txt" ? "vocab.txt" : "tokenizer.json";
}

} // namespace

std::optional<AttachmentKind> attachment_by_name(const fs::path& file) {
    const std::string name = file.filename().string(), extension = lower(file.extension().string());
    if (is_one_of(vocabularies, name) || name == "tokenizer_config.json") {
        return AttachmentKind::tokenizer;
    }
    if (extension == ".jinja") {
        return AttachmentKind::chat_template;
    }
    const bool torch = extension == ".pt" || extension == ".pth" || extension == ".bin";
    return torch && lower(name).find("mass") != std::string::npos ? std::optional(AttachmentKind::masses)
                                                                  : std::nullopt;
}

Attachment as_attachment(const fs::path& file) {
    require_file(file);
    if (const auto kind = attachment_by_name(file)) {
        return {*kind, file};
    }
    const auto mapped = map_file(file);
    const auto bytes = mapped->bytes();
    const FileKind kind = sniff(bytes);
    if (kind == FileKind::zip || kind == FileKind::pickle || kind == FileKind::legacy_checkpoint) {
        return {AttachmentKind::masses, file}; // its own reader says what is wrong with it
    }
    const auto* text = reinterpret_cast<const char*>(bytes.data());
    const auto first = std::find_if_not(text, text + std::min<std::size_t>(bytes.size(), 4096), [](char c) {
        return c == ' ' || c == '\n' || c == '\r' || c == '\t';
    });
    // A vocabulary that has the word "error" looks like a page that was saved instead of a file.
    const bool text_like = kind == FileKind::unknown || kind == FileKind::web_page;
    const bool json = text_like && !bytes.empty() && first < text + bytes.size() && *first == '{';
    if (json || (kind == FileKind::unknown && lower(file.extension().string()) == ".txt")) {
        return {AttachmentKind::tokenizer, file};
    }
    throw Error(
        ErrorKind::usage, "this is neither a tokenizer nor a chat template nor gravity masses.",
        {.code = "F-UNKNOWN",
         .file = printable(file.filename().string()),
         .advice = "Attach a tokenizer.json, vocab.json, vocab.txt, *.jinja or gravity_mass_log.pt."});
}

std::map<std::string, std::optional<fs::path>> side_files_of(const Attachment& attachment) {
    const fs::path& file = attachment.file;
    require_file(file);
    std::map<std::string, std::optional<fs::path>> out;
    if (attachment.kind == AttachmentKind::masses) {
        out[masses] = file;
        return out;
    }
    if (attachment.kind == AttachmentKind::chat_template) {
        out["chat_template.jinja"] = file;
        return out;
    }
    const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
    const auto beside = [&](const char* name) {
        return is_file(folder / name) ? std::optional(folder / name) : std::nullopt;
    };
    for (const char* name : vocabularies) {
        out[name] = std::nullopt; // the model's own
    }
    const std::string role = vocabulary_name(file);
    if (file.filename() == "tokenizer_config.json") {
        for (const char* name : vocabularies) {
            out[name] = beside(name);
        }
    } else {
        out[role] = file;
        if (role == "vocab.json" || role == "merges.txt") {
            const char* other = role == "vocab.json" ? "merges.txt" : "vocab.json";
            out[other] = beside(other);
        }
    }
    const bool any =
        std::any_of(companions.begin(), companions.end(), [&](const char* n) { return beside(n); });
    for (const char* name : companions) {
        if (any) { // theirs alone: a mixture of two tokenizers' settings belongs to neither
            out[name] = beside(name);
        }
    }
    for (const char* name : templates) {
        if (beside(name)) {
            out[name] = beside(name);
        }
    }
    return out;
}

} // namespace ergo
