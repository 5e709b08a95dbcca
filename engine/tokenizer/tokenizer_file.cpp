// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/tokenizer_file.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/tokenizer/component_reader.h"
#include "engine/tokenizer/regex_syntax.h"

#include <algorithm>

namespace ergo {

namespace {

void check_version(const JsonView& document) {
    const std::string version = document.text_or("version", "1.0");
    if (version != "1.0") {
        throw Error(ErrorKind::unsupported,
                    "the tokenizer's version is '" + printable(version, 40) + "'; this program reads 1.0.",
                    {.code = "TK-VERSION", .file = document.file()});
    }
}

// What the post-processor writes must be tokens.
void check_post_processor(const Pipeline& pipeline, const std::string& file) {
    for (const auto& items : pipeline.post_processor.templates()) {
        for (const auto& item : items) {
            for (const std::int32_t id : item.value_or(std::vector<std::int32_t>())) {
                if (!pipeline.added.find(id) && !pipeline.model.vocabulary().has(id)) {
                    throw Error(ErrorKind::format,
                                "'post_processor' writes the id " + std::to_string(id) +
                                    ", which has no token.",
                                {.code = "TK-VOCAB", .file = file});
                }
            }
        }
    }
}

// vocab.json and merges.txt do not say how a text is split before merging: that is known for these
// `tokenizer_class`es only.
struct KnownClass {
    std::string_view name; // without the suffix "Fast"
    KnownSplit (*split)(bool add_prefix_space);
};

const KnownClass& known_class(std::string_view name, const std::string& file) {
    static const KnownClass classes[] = {
        {"", gpt2_split},
        {"GPT2Tokenizer", gpt2_split},
        {"Qwen2Tokenizer", single_digit_split},
    };
    if (name.ends_with("Fast")) {
        name.remove_suffix(4);
    }
    for (const KnownClass& known : classes) {
        if (known.name == name) {
            return known;
        }
    }
    throw Error(ErrorKind::unsupported,
                "how the tokenizer class '" + printable(name, 60) +
                    "' splits a text is not known from its name.",
                {.code = "TK-PRETOKENIZER", .file = file, .advice = "Give its tokenizer.json instead."});
}

// The added tokens a configuration names: all of added_tokens_decoder, and as special ones those in the
// vocabulary that play a part. Without a configuration: the vocabulary's well-known end of text.
std::vector<AddedToken> added_tokens_of(const TokenizerConfig& config, const Vocabulary& vocabulary,
                                        const std::string& file) {
    const Json nothing;
    const JsonView where(nothing, "added_tokens_decoder", file);
    std::vector<AddedToken> tokens = config.added;
    for (const AddedToken& token : tokens) {
        check_added_token(token, vocabulary, where);
    }
    const auto add_special = [&](std::string_view content) {
        const auto id = vocabulary.find(content);
        const auto same = [&](const AddedToken& token) { return token.content == content; };
        if (id && !content.empty() && std::none_of(tokens.begin(), tokens.end(), same)) {
            tokens.push_back({.id = *id, .content = std::string(content), .special = true});
        }
    };
    for (const NamedToken* named : {&config.bos, &config.eos, &config.pad, &config.unk}) {
        if (named->text) {
            add_special(*named->text);
        }
    }
    for (const std::string& content : config.additional_special) {
        add_special(content);
    }
    if (!config.eos.mentioned) {
        for (const std::string_view content : well_known_eos()) {
            add_special(content);
        }
    }
    Vocabulary seen;
    for (const AddedToken& token : tokens) {
        if (seen.add(token.content, token.id) != Vocabulary::Added::yes) {
            where.fail("gives '" + printable(token.content, 60) + "' or the id " + std::to_string(token.id) +
                           " twice",
                       "TK-ADDED");
        }
    }
    return tokens;
}

// One "a b" a line, rank by line; only a line that begins with "#version" is a comment.
void read_merges(std::string_view text, BpeModel& model, const std::string& file) {
    if (text.size() > tokenizer_json_limit) {
        throw Error(ErrorKind::resources,
                    "merges.txt has " + std::to_string(text.size()) + " bytes; the limit is " +
                        std::to_string(tokenizer_json_limit) + ".",
                    {.code = "F-TOO-LARGE", .file = file});
    }
    if (!is_valid_utf8(text)) {
        throw Error(ErrorKind::format, "merges.txt is no valid UTF-8.", {.code = "TK-MERGE", .file = file});
    }
    std::size_t number = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        ++number;
        if (line.starts_with("#version") || (line.empty() && text.empty())) {
            continue;
        }
        const auto [left, right] = split_merge(line, number, file);
        add_merge(model, left, right, number, file);
    }
}

} // namespace

Pipeline read_tokenizer_json(std::string_view text, const std::string& file) {
    const Json parsed = parse_json(text, tokenizer_json_limit, file);
    const JsonView document(parsed, "", file);
    if (!parsed.is_object()) {
        throw Error(ErrorKind::format,
                    std::string("the file must hold an object, but holds ") + parsed.type_name() + ".",
                    {.code = "F-JSON", .file = file});
    }
    check_version(document);
    if (!document.find("model")) {
        throw Error(ErrorKind::format, "the file has no 'model'.", {.code = "F-JSON", .file = file});
    }
    Pipeline pipeline{read_model(document.at("model")),
                      {},
                      read_normalizer(document.find("normalizer")),
                      read_pretokenizer(document.find("pre_tokenizer")),
                      read_post_processor(document.find("post_processor")),
                      read_decoder(document.find("decoder"))};
    pipeline.added = AddedTokens(
        read_added_tokens(document.find("added_tokens"), pipeline.model.vocabulary()), pipeline.normalizer);
    check_post_processor(pipeline, file);
    return pipeline;
}

std::string_view single_digit_pattern() {
    return R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
}

KnownSplit gpt2_split(bool add_prefix_space) {
    return {Normalizer(), Pretokenizer({ByteLevelStep{add_prefix_space, true}})};
}

KnownSplit single_digit_split(bool add_prefix_space) {
    std::vector<PretokenizerStep> steps;
    steps.emplace_back(
        SplitStep{Regex(translate_regex(single_digit_pattern())), SplitBehavior::isolated, false});
    steps.emplace_back(ByteLevelStep{add_prefix_space, false});
    return {Normalizer({FormStep{UnicodeForm::nfc}}), Pretokenizer(std::move(steps))};
}

Pipeline read_vocab_and_merges(std::string_view vocab_json, std::string_view merges_txt,
                               const TokenizerConfig& config, const std::string& file) {
    const KnownClass& known = known_class(config.tokenizer_class, file);
    Vocabulary vocabulary;
    {
        const Json parsed = parse_json(vocab_json, tokenizer_json_limit, file);
        vocabulary = read_vocabulary(JsonView(parsed, "vocab.json", file));
    }
    BpeModel model(std::move(vocabulary), {});
    read_merges(merges_txt, model, file);
    KnownSplit split = known.split(config.add_prefix_space.value_or(false));
    AddedTokens added(added_tokens_of(config, model.vocabulary(), file), split.normalizer);
    return Pipeline{TokenModel(std::move(model)),
                    std::move(added),
                    split.normalizer,
                    std::move(split.pretokenizer),
                    {},
                    {.byte_level = true, .separator = "", .chain = {}}};
}

} // namespace ergo
