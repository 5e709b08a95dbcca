// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/tokenizer_folder.h"

#include "engine/base/error.h"
#include "engine/tokenizer/json_reader.h"

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

std::optional<std::string> read_if_there(const fs::path& path, std::size_t limit) {
    return is_there(path) ? std::optional(read_file(path, limit)) : std::nullopt;
}

constexpr std::size_t chat_template_limit = std::size_t{1} << 20; // bytes

} // namespace

TokenizerFiles read_tokenizer_folder(const fs::path& folder) {
    TokenizerFiles files;
    files.tokenizer_json = read_if_there(folder / "tokenizer.json", tokenizer_json_limit);
    if (!files.tokenizer_json) {
        files.vocab_json = read_if_there(folder / "vocab.json", tokenizer_json_limit);
        files.merges = read_if_there(folder / "merges.txt", tokenizer_json_limit);
        if (files.vocab_json.has_value() != files.merges.has_value()) {
            const std::string there = files.merges ? "merges.txt" : "vocab.json";
            const std::string missing = files.merges ? "vocab.json" : "merges.txt";
            throw Error(ErrorKind::format,
                        there + " is here, but " + missing + " is not: neither works alone.",
                        {.code = "TK-MERGE",
                         .file = there,
                         .advice = "Put both, or a tokenizer.json, beside the model."});
        }
    }
    files.tokenizer_config_json = read_if_there(folder / "tokenizer_config.json", json_limit).value_or("");
    files.chat_template_jinja =
        read_if_there(folder / "chat_template.jinja", chat_template_limit).value_or("");
    return files;
}

} // namespace ergo
