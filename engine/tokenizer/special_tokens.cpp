// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/special_tokens.h"

#include "engine/base/error.h"
#include "engine/tokenizer/component_reader.h"
#include "engine/tokenizer/json_reader.h"

#include <algorithm>
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

// A string, a list of {name, template}, or an object from names to templates.
std::vector<ChatTemplateText> read_chat_templates(const JsonView& config) {
    std::vector<ChatTemplateText> templates;
    const auto value = config.find("chat_template");
    if (!value) {
        return templates;
    }
    if (value->raw().is_string()) {
        templates.push_back({"default", value->text(), config.file()});
    } else if (value->raw().is_object()) {
        for (const auto& [name, text] : value->raw().items()) {
            templates.push_back(
                {name, JsonView(text, "chat_template." + name, config.file()).text(), config.file()});
        }
    } else {
        for (const JsonView& named : value->elements()) {
            templates.push_back({named.at("name").text(), named.at("template").text(), config.file()});
        }
    }
    return templates;
}

void read_named_tokens(const JsonView& config, TokenizerConfig& out) {
    const std::pair<const char*, NamedToken*> parts[] = {
        {"bos_token", &out.bos}, {"eos_token", &out.eos}, {"pad_token", &out.pad}, {"unk_token", &out.unk}};
    for (const auto& [key, part] : parts) {
        *part = part->mentioned ? *part : read_named(config, key);
    }
    for (const auto& [key, value] : config.raw().items()) {
        const auto known = [&, &wanted = key](const auto& named) { return named.first == wanted; };
        if (!key.ends_with("_token") || std::any_of(out.named.begin(), out.named.end(), known)) {
            continue;
        }
        if (value.is_string()) {
            out.named.emplace_back(key, value.get<std::string>());
        } else if (value.is_object() && value.contains("content") && value["content"].is_string()) {
            out.named.emplace_back(key, value["content"].get<std::string>());
        }
    }
    for (const char* key : {"additional_special_tokens", "extra_special_tokens"}) {
        const auto list = config.find(key);
        if (!list || (list->raw().is_object() && std::string_view(key) == "extra_special_tokens")) {
            continue; // an object there names parts of other media
        }
        for (const JsonView& token : list->elements()) {
            out.additional_special.push_back(token.raw().is_object() ? token.at("content").text()
                                                                     : token.text());
        }
    }
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
    read_named_tokens(config, out);
    out.tokenizer_class = config.text_or("tokenizer_class", "");
    const std::pair<const char*, std::optional<bool>*> flags[] = {
        {"add_prefix_space", &out.add_prefix_space},
        {"do_lower_case", &out.lower_case},
        {"strip_accents", &out.strip_accents},
        {"tokenize_chinese_chars", &out.chinese_characters},
    };
    for (const auto& [key, flag] : flags) {
        if (const auto value = config.find(key)) {
            *flag = value->boolean();
        }
    }
    out.templates = read_chat_templates(config);
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

void add_special_tokens_map(TokenizerConfig& config, std::string_view text, const std::string& file) {
    const Json document = parse_json(text, json_limit, file);
    const JsonView map(document, "", file);
    map.expect_object();
    read_named_tokens(map, config);
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
