// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/special_tokens.h"

#include "engine/base/error.h"
#include "engine/tokenizer/component_reader.h"
#include "engine/tokenizer/json_reader.h"

#include <charconv>

namespace ergo {

namespace {

// A string, an object with `content`, or null.
NamedToken read_named(const JsonView& config, const std::string& key) {
    const auto member = config.raw().find(key);
    if (member == config.raw().end()) {
        return {};
    }
    const auto value = config.find(key);
    if (!value) {
        return {.mentioned = true, .text = std::nullopt};
    }
    return {.mentioned = true,
            .text = value->raw().is_object() ? value->at("content").text() : value->text()};
}

// A string, or a list of {name, template} of which the one named "default" counts.
std::string read_chat_template(const JsonView& config) {
    const auto value = config.find("chat_template");
    if (!value) {
        return {};
    }
    if (value->raw().is_string()) {
        return value->text();
    }
    for (const JsonView& named : value->elements()) {
        if (named.at("name").text() == "default") {
            return named.at("template").text();
        }
    }
    return {};
}

std::int32_t read_id_key(const std::string& key, const JsonView& where) {
    std::int32_t id = -1;
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), id);
    if (error != std::errc() || end != key.data() + key.size() || id < 0 || id >= vocabulary_id_limit) {
        where.fail("has the key '" + printable(key, 40) + "', which is no id", "TK-ADDED");
    }
    return id;
}

std::optional<std::int32_t>
resolve(const NamedToken& token, const std::vector<std::string_view>& well_known,
        const std::function<std::optional<std::int32_t>(std::string_view)>& id_of) {
    if (token.mentioned) {
        return token.text ? id_of(*token.text) : std::nullopt;
    }
    for (const std::string_view name : well_known) {
        if (const auto id = id_of(name)) {
            return id;
        }
    }
    return std::nullopt;
}

} // namespace

TokenizerConfig read_tokenizer_config(std::string_view text, const std::string& file) {
    TokenizerConfig out;
    if (text.empty()) {
        return out;
    }
    const Json document = parse_json(text, json_limit, file);
    const JsonView config(document, "", file);
    config.expect_object();
    out.bos = read_named(config, "bos_token");
    out.eos = read_named(config, "eos_token");
    out.pad = read_named(config, "pad_token");
    out.unk = read_named(config, "unk_token");
    out.tokenizer_class = config.text_or("tokenizer_class", "");
    if (const auto prefix = config.find("add_prefix_space")) {
        out.add_prefix_space = prefix->boolean();
    }
    out.chat_template = read_chat_template(config);
    if (const auto list = config.find("additional_special_tokens")) {
        for (const JsonView& token : list->elements()) {
            out.additional_special.push_back(token.raw().is_object() ? token.at("content").text()
                                                                     : token.text());
        }
    }
    if (const auto added = config.find("added_tokens_decoder")) {
        added->expect_object();
        for (const auto& [key, value] : added->raw().items()) {
            AddedToken token = read_added_token(JsonView(value, added->path() + "." + key, file));
            token.id = read_id_key(key, *added);
            if (!token.content.empty()) {
                out.added.push_back(std::move(token));
            }
        }
    }
    return out;
}

std::vector<std::string_view> well_known_eos() {
    return {"<|eos|>", "</s>", "<eos>", "<|end_of_text|>", "<|endoftext|>"};
}

SpecialIds resolve_special_ids(const TokenizerConfig& config,
                               const std::function<std::optional<std::int32_t>(std::string_view)>& id_of) {
    return {
        .bos = resolve(config.bos, {"<|bos|>", "<s>", "<bos>", "<|begin_of_text|>", "<|endoftext|>"}, id_of),
        .eos = resolve(config.eos, well_known_eos(), id_of),
        .pad = resolve(config.pad, {"<|pad|>", "<pad>", "[PAD]"}, id_of),
        .unk = resolve(config.unk, {"<|unk|>", "<unk>", "[UNK]"}, id_of),
    };
}

} // namespace ergo
