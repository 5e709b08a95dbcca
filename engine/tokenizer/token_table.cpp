// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/token_table.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/tokenizer/component_reader.h"
#include "engine/tokenizer/tokenizer_file.h"

#include <algorithm>
#include <set>

namespace ergo {

namespace {

using Kind = TokenTable::Kind;

[[noreturn]] void malformed(const std::string& file, const std::string& what,
                            const char* code = "GG-TOKENIZER") {
    throw Error(
        ErrorKind::format, what,
        {.code = code, .file = file, .advice = "Get the file again, or put a tokenizer.json beside it."});
}

std::string shown(const TokenTable& table, std::size_t id) {
    return "'" + printable(table.tokens[id], 60) + "'";
}

/// The names under which the ways to split texts are published.
struct NamedSplit {
    std::string_view name;
    KnownSplit (*make)(bool add_prefix_space);
};
constexpr NamedSplit splits[] = {
    {"gpt-2", gpt2_split},
    {"gpt2", gpt2_split},
    {"qwen2", single_digit_split},
    {"deepseek-r1-qwen", single_digit_split},
};

KnownSplit split_of(const TokenTable& table, const std::string& file) {
    std::string names;
    for (const NamedSplit& split : splits) {
        if (split.name == table.split) {
            return split.make(table.add_prefix_space);
        }
        names += (names.empty() ? "" : ", ") + std::string(split.name);
    }
    throw Error(
        ErrorKind::unsupported,
        table.split.empty()
            ? std::string("the file does not say how texts are split into words (tokenizer.ggml.pre).")
            : "the way '" + printable(table.split, 60) + "' of splitting texts is not known.",
        {.code = "GG-TOKENIZER",
         .file = file,
         .advice = "Known are: " + names + "; for others put a tokenizer.json beside the file."});
}

Kind kind_of(const TokenTable& table, std::size_t id) {
    return table.kinds.empty() ? Kind::normal : static_cast<Kind>(table.kinds[id]);
}

void check_ids(const TokenTable& table, const std::string& file) {
    for (const auto& [name, id] :
         {std::pair("bos", table.bos), {"eos", table.eos}, {"pad", table.pad}, {"unk", table.unk}}) {
        if (id && (*id < 0 || static_cast<std::uint64_t>(*id) >= table.tokens.size())) {
            malformed(file, std::string("the ") + name + " token has the id " + std::to_string(*id) +
                                ", but there are " + std::to_string(table.tokens.size()) + " tokens.");
        }
    }
    if ((table.add_bos && !table.bos) || (table.add_eos && !table.eos)) {
        malformed(file, "a token is to be added around texts, but the file does not say which.");
    }
}

void check_table(const TokenTable& table, const std::string& file) {
    if (table.model != "gpt2") {
        throw Error(
            ErrorKind::unsupported,
            "the tokenizer's model is '" + printable(table.model, 60) +
                "'; this program reads gpt2 (byte-level BPE).",
            {.code = "GG-TOKENIZER", .file = file, .advice = "Put a tokenizer.json beside the file."});
    }
    if (table.tokens.empty() || table.tokens.size() > static_cast<std::size_t>(vocabulary_id_limit)) {
        malformed(file, "there are " + std::to_string(table.tokens.size()) + " tokens; 1 to " +
                            std::to_string(vocabulary_id_limit) + " are possible.");
    }
    if (!table.kinds.empty() && table.kinds.size() != table.tokens.size()) {
        malformed(file, "there are " + std::to_string(table.tokens.size()) + " tokens, but " +
                            std::to_string(table.kinds.size()) + " kinds of them.");
    }
    for (std::size_t id = 0; id < table.tokens.size(); ++id) {
        const std::int64_t kind = static_cast<std::int64_t>(kind_of(table, id));
        if (kind < 1 || kind > 6) {
            malformed(file, "the token " + std::to_string(id) + " is of kind " + std::to_string(kind) +
                                "; kinds are 1 to 6.");
        }
        if (!is_valid_utf8(table.tokens[id])) {
            malformed(file, "the token " + std::to_string(id) + " (" + shown(table, id) + ") is not UTF-8.");
        }
    }
    check_ids(table, file);
}

/// Control tokens are special ones; without kinds those that play a part are.
bool is_control(const TokenTable& table, std::size_t id) {
    const auto is = [&](const std::optional<std::int64_t>& part) {
        return part && static_cast<std::size_t>(*part) == id;
    };
    return kind_of(table, id) == Kind::control ||
           (table.kinds.empty() && (is(table.bos) || is(table.eos) || is(table.pad)));
}

void check_length(const TokenTable& table, std::size_t id, const std::string& file) {
    if (table.tokens[id].size() > AddedTokens::longest_content) {
        malformed(file,
                  "the token " + std::to_string(id) + " has " + std::to_string(table.tokens[id].size()) +
                      " bytes; the limit for control and user-defined ones is " +
                      std::to_string(AddedTokens::longest_content) + ".",
                  "TK-ADDED");
    }
}

} // namespace

TokenizerConfig config_of(const TokenTable& table) {
    const auto named = [&](const std::optional<std::int64_t>& id) {
        NamedToken token;
        token.mentioned = id.has_value();
        if (id) {
            token.text = std::string(table.tokens.at(static_cast<std::size_t>(*id)));
        }
        return token;
    };
    TokenizerConfig config;
    config.bos = named(table.bos);
    config.eos = named(table.eos);
    config.pad = named(table.pad);
    config.unk = named(table.unk);
    config.add_prefix_space = table.add_prefix_space;
    for (const auto& [name, id] : {std::pair("bos_token", table.bos),
                                   {"eos_token", table.eos},
                                   {"pad_token", table.pad},
                                   {"unk_token", table.unk}}) {
        if (id) {
            config.named.emplace_back(name, std::string(table.tokens.at(static_cast<std::size_t>(*id))));
        }
    }
    if (!table.chat_template.empty()) {
        config.templates.push_back({"default", table.chat_template, "tokenizer.chat_template"});
    }
    return config;
}

Pipeline read_token_table(const TokenTable& table, const std::string& file) {
    check_table(table, file);
    KnownSplit split = split_of(table, file);
    Vocabulary vocabulary;
    std::vector<AddedToken> added;
    std::set<std::string_view> contents;
    for (std::size_t id = 0; id < table.tokens.size(); ++id) {
        const auto number = static_cast<std::int32_t>(id);
        const Kind kind = kind_of(table, id);
        const std::string_view text = table.tokens[id];
        const bool control = is_control(table, id);
        if (control || kind == Kind::user_defined) {
            check_length(table, id, file);
            if (!text.empty() && !contents.insert(text).second) {
                malformed(file, "two added tokens read " + shown(table, id) + ".", "TK-ADDED");
            }
            if (!text.empty()) {
                added.push_back({.id = number, .content = std::string(text), .special = control});
            }
        } else if (kind != Kind::unused && vocabulary.add(text, number) != Vocabulary::Added::yes) {
            malformed(file, "the token " + shown(table, id) + " occurs twice.", "TK-VOCAB");
        }
    }
    for (const AddedToken& token : added) {
        if (vocabulary.find(token.content)) {
            malformed(file,
                      "the token '" + printable(token.content, 60) + "' is both a normal and an added one.",
                      "TK-ADDED");
        }
    }
    BpeModel model(std::move(vocabulary), {});
    for (std::size_t i = 0; i < table.merges.size(); ++i) {
        if (!is_valid_utf8(table.merges[i])) {
            malformed(file, "merge " + std::to_string(i + 1) + " is not UTF-8.", "TK-MERGE");
        }
        const auto [left, right] = split_merge(table.merges[i], i + 1, file);
        add_merge(model, left, right, i + 1, file);
    }
    std::vector<PostProcessor::Template> around;
    if (table.add_bos || table.add_eos) {
        PostProcessor::Template items{std::nullopt};
        if (table.add_bos) {
            items.insert(items.begin(), std::vector{static_cast<std::int32_t>(*table.bos)});
        }
        if (table.add_eos) {
            items.emplace_back(std::vector{static_cast<std::int32_t>(*table.eos)});
        }
        around.push_back(std::move(items));
    }
    AddedTokens cut(std::move(added), split.normalizer);
    return Pipeline{TokenModel(std::move(model)),
                    std::move(cut),
                    split.normalizer,
                    std::move(split.pretokenizer),
                    PostProcessor(std::move(around)),
                    {.byte_level = true, .separator = "", .chain = {}}};
}

} // namespace ergo
