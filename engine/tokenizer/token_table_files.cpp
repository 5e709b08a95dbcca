// SPDX-License-Identifier: GPL-3.0-or-later
// A flat table written down as tokenizer.json and tokenizer_config.json, so that a converted GGUF model keeps
// its tokenizer.
#include "engine/tokenizer/token_table.h"
#include "engine/tokenizer/tokenizer.h"
#include "engine/tokenizer/tokenizer_file.h"

#include <nlohmann/json.hpp>

namespace ergo {

namespace {

using Json = nlohmann::ordered_json;
using Kind = TokenTable::Kind;

Json byte_level(bool add_prefix_space, bool use_regex) {
    return {{"type", "ByteLevel"},
            {"add_prefix_space", add_prefix_space},
            {"trim_offsets", false},
            {"use_regex", use_regex}};
}

/// `normalizer` and `pre_tokenizer` as read_token_table takes the name of the split.
void put_split(Json& out, const TokenTable& table) {
    if (table.split == "gpt-2" || table.split == "gpt2") {
        out["normalizer"] = nullptr;
        out["pre_tokenizer"] = byte_level(table.add_prefix_space, true);
        return;
    }
    const Json split{{"type", "Split"},
                     {"pattern", {{"Regex", std::string(single_digit_pattern())}}},
                     {"behavior", "Isolated"},
                     {"invert", false}};
    out["normalizer"] = {{"type", "NFC"}};
    out["pre_tokenizer"] = {
        {"type", "Sequence"},
        {"pretokenizers", Json::array({split, byte_level(table.add_prefix_space, false)})}};
}

Json post_processor(const TokenTable& table) {
    if (!table.add_bos && !table.add_eos) {
        return byte_level(false, false);
    }
    Json single = Json::array({{{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}), tokens = Json::object();
    const auto add = [&](std::int64_t id, bool first) {
        const std::string text(table.tokens[static_cast<std::size_t>(id)]);
        const Json part{{"SpecialToken", {{"id", text}, {"type_id", 0}}}};
        single.insert(first ? single.begin() : single.end(), part);
        tokens[text] = {{"id", text}, {"ids", {id}}, {"tokens", {text}}};
    };
    if (table.add_bos) {
        add(*table.bos, true);
    }
    if (table.add_eos) {
        add(*table.eos, false);
    }
    return {{"type", "TemplateProcessing"}, {"single", single}, {"pair", single}, {"special_tokens", tokens}};
}

} // namespace

TokenizerFiles files_of(const TokenTable& table, const std::string& file_name) {
    const auto tokenizer = Tokenizer::from_table(table, file_name); // refuses what cannot be written down
    Json added = Json::array(), vocab = Json::object(), merges = Json::array();
    for (std::size_t id = 0; id < table.tokens.size(); ++id) {
        const std::string text(table.tokens[id]);
        const auto number = static_cast<std::int32_t>(id);
        const Kind kind = table.kinds.empty() ? Kind::normal : static_cast<Kind>(table.kinds[id]);
        const bool special = tokenizer->is_special(number);
        if (special || kind == Kind::user_defined) {
            if (!text.empty()) {
                added.push_back({{"id", number},
                                 {"content", text},
                                 {"single_word", false},
                                 {"lstrip", false},
                                 {"rstrip", false},
                                 {"normalized", false},
                                 {"special", special}});
            }
        } else if (kind != Kind::unused) {
            vocab[text] = number;
        }
    }
    for (const std::string_view merge : table.merges) {
        merges.push_back(std::string(merge));
    }
    Json out{{"version", "1.0"}, {"truncation", nullptr}, {"padding", nullptr}, {"added_tokens", added}};
    put_split(out, table);
    out["post_processor"] = post_processor(table);
    out["decoder"] = byte_level(false, false);
    out["model"] = {{"type", "BPE"},
                    {"dropout", nullptr},
                    {"unk_token", nullptr},
                    {"continuing_subword_prefix", nullptr},
                    {"end_of_word_suffix", nullptr},
                    {"fuse_unk", false},
                    {"byte_fallback", false},
                    {"ignore_merges", false},
                    {"vocab", vocab},
                    {"merges", merges}};
    Json config{{"tokenizer_class", "PreTrainedTokenizerFast"},
                {"add_bos_token", table.add_bos},
                {"add_eos_token", table.add_eos}};
    for (const auto& [name, text] : config_of(table).named) {
        config[name] = text;
    }
    if (!table.chat_template.empty()) {
        config["chat_template"] = table.chat_template;
    }
    return {out.dump(), config.dump(1) + "\n"};
}

} // namespace ergo
