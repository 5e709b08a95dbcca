// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/metadata_tokenizer.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"

namespace ergo {

namespace {

const std::string prefix = "tokenizer.ggml.";

std::vector<std::string_view> texts(const TypedMetadata& metadata, const std::string& name) {
    auto list = metadata.texts(prefix + name);
    if (!list) {
        throw Error(ErrorKind::format, "the file's tokenizer has no " + prefix + name + ".",
                    {.code = "F-CONFIG-MISSING",
                     .file = metadata.file_name(),
                     .advice = "Get a complete GGUF of the model, or put a tokenizer.json beside it."});
    }
    return std::move(*list);
}

} // namespace

std::optional<TokenTable> token_table_of(const TypedMetadata& metadata) {
    const auto model = metadata.text(prefix + "model");
    if (!model || *model == "none") { // "none" stands for: token ids only
        return std::nullopt;
    }
    TokenTable table;
    table.model = *model;
    if (table.model != "gpt2") {
        return table; // it is refused by its name; other models have other lists
    }
    table.split = metadata.text(prefix + "pre").value_or("");
    table.tokens = texts(metadata, "tokens");
    table.merges = texts(metadata, "merges");
    table.kinds = metadata.integers(prefix + "token_type").value_or(std::vector<std::int64_t>());
    table.bos = metadata.integer(prefix + "bos_token_id");
    table.eos = metadata.integer(prefix + "eos_token_id");
    table.pad = metadata.integer(prefix + "padding_token_id");
    table.unk = metadata.integer(prefix + "unknown_token_id");
    table.add_bos = metadata.boolean(prefix + "add_bos_token").value_or(false);
    table.add_eos = metadata.boolean(prefix + "add_eos_token").value_or(false);
    table.add_prefix_space = metadata.boolean(prefix + "add_space_prefix").value_or(false);
    table.chat_template = replace_invalid_utf8(metadata.text("tokenizer.chat_template").value_or(""));
    return table;
}

} // namespace ergo
