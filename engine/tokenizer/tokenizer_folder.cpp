// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/tokenizer_folder.h"

#include "engine/base/error.h"
#include "engine/tokenizer/json_reader.h"

#include <algorithm>
#include <fstream>

namespace ergo {

namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
    std::error_code ignored;
    return fs::is_regular_file(path, ignored);
}

std::string read_file(const fs::path& path, std::size_t limit) {
    const std::string name = path.filename().string();
    std::error_code failed;
    const auto size = fs::file_size(path, failed);
    if (failed) {
        throw Error(ErrorKind::io, "the file could not be read: " + failed.message() + ".",
                    {.code = "F-IO", .file = name});
    }
    if (size > limit) {
        throw Error(ErrorKind::resources,
                    "the file has " + std::to_string(size) + " bytes; the limit is " + std::to_string(limit) +
                        ".",
                    {.code = "F-TOO-LARGE", .file = name});
    }
    std::string bytes(static_cast<std::size_t>(size), '\0');
    std::ifstream in(path, std::ios::binary);
    if (!in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
        throw Error(ErrorKind::io, "the file could not be read to its end.", {.code = "F-IO", .file = name});
    }
    return bytes;
}

constexpr std::size_t chat_template_limit = std::size_t{1} << 20; // bytes

std::size_t limit_of(const std::string& name) {
    const bool vocabulary =
        name == "tokenizer.json" || name == "vocab.json" || name == "merges.txt" || name == "vocab.txt";
    return vocabulary ? tokenizer_json_limit : name.ends_with(".jinja") ? chat_template_limit : json_limit;
}

} // namespace

std::optional<std::string> read_side_file(const fs::path& folder, const std::string& name) {
    const fs::path path = folder / name;
    return is_there(path) ? std::optional(read_file(path, limit_of(name))) : std::nullopt;
}

std::vector<fs::path> named_templates_of(const fs::path& folder) {
    std::vector<fs::path> files;
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder / named_templates, ignored)) {
        if (entry.path().extension() == ".jinja" && is_there(entry.path())) {
            files.push_back(entry.path());
        }
    }
    std::sort(files.begin(), files.end());
    return files;
}

std::vector<ChatTemplateText> read_named_templates(const std::vector<fs::path>& files) {
    constexpr std::size_t most = 64;
    std::vector<ChatTemplateText> templates;
    for (std::size_t i = 0; i < files.size() && i < most; ++i) {
        templates.push_back({files[i].stem().string(), read_file(files[i], chat_template_limit),
                             std::string(named_templates) + "/" + files[i].filename().string()});
    }
    return templates;
}

} // namespace ergo
