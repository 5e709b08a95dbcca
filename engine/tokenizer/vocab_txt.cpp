// SPDX-License-Identifier: GPL-3.0-or-later
// vocab.txt: one token a line, for WordPiece.
#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/tokenizer/component_reader.h"
#include "engine/tokenizer/regex_syntax.h"
#include "engine/tokenizer/tokenizer_file.h"

#include <algorithm>

namespace ergo {

namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        lines.push_back(line);
    }
    return lines;
}

// A line's number is its token's id; of a token that occurs twice the last counts, an empty line has none.
Vocabulary read_lines(std::string_view text, const std::string& file, std::vector<std::string>& warnings) {
    if (text.size() > tokenizer_json_limit) {
        throw Error(ErrorKind::resources,
                    "the file has " + std::to_string(text.size()) + " bytes; the limit is " +
                        std::to_string(tokenizer_json_limit) + ".",
                    {.code = "F-TOO-LARGE", .file = file});
    }
    if (!is_valid_utf8(text)) {
        throw Error(ErrorKind::format, "the file is no valid UTF-8.", {.code = "TK-VOCAB", .file = file});
    }
    const std::vector<std::string_view> lines = lines_of(text);
    if (lines.size() > static_cast<std::size_t>(vocabulary_id_limit)) {
        throw Error(ErrorKind::format,
                    "the file has " + std::to_string(lines.size()) + " lines; at most " +
                        std::to_string(vocabulary_id_limit) + " tokens are possible.",
                    {.code = "TK-VOCAB", .file = file});
    }
    Vocabulary vocabulary;
    std::size_t repeated = 0;
    for (std::size_t i = lines.size(); i-- > 0;) { // the last one first
        if (!lines[i].empty() &&
            vocabulary.add(lines[i], static_cast<std::int32_t>(i)) == Vocabulary::Added::text_taken) {
            ++repeated;
        }
    }
    if (repeated > 0) {
        warnings.push_back(file + " holds " + std::to_string(repeated) +
                           " tokens that occur again further down; the last of each counts.");
    }
    return vocabulary;
}

Normalizer bert_normalizer(const TokenizerConfig& config) {
    const bool lower = config.lower_case.value_or(true);
    std::vector<NormalizerStep> steps;
    steps.emplace_back(CleanTextStep{});
    if (config.chinese_characters.value_or(true)) {
        steps.emplace_back(ChineseCharactersStep{});
    }
    if (config.strip_accents.value_or(lower)) {
        steps.emplace_back(StripAccentsStep{true, false});
    }
    if (lower) {
        steps.emplace_back(LowercaseStep{});
    }
    return Normalizer(std::move(steps));
}

std::vector<AddedToken> special_tokens(const TokenizerConfig& config, const Vocabulary& vocabulary) {
    std::vector<AddedToken> tokens = config.added;
    const Json nothing;
    const std::string file = "tokenizer_config.json";
    for (const AddedToken& token : tokens) {
        check_added_token(token, vocabulary, JsonView(nothing, "added_tokens_decoder", file));
    }
    const auto add = [&](std::string_view content) {
        const auto id = vocabulary.find(content);
        const auto same = [&](const AddedToken& token) { return token.content == content; };
        if (id && !content.empty() && std::none_of(tokens.begin(), tokens.end(), same)) {
            tokens.push_back({.id = *id, .content = std::string(content), .special = true});
        }
    };
    for (const std::string_view content : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
        add(content);
    }
    for (const auto& [name, content] : config.named) {
        add(content);
    }
    for (const std::string& content : config.additional_special) {
        add(content);
    }
    return tokens;
}

} // namespace

Pipeline read_vocab_txt(std::string_view text, const TokenizerConfig& config, const std::string& file) {
    std::vector<std::string> warnings;
    Vocabulary vocabulary = read_lines(text, file, warnings);
    bool has_pieces = false;
    for (std::int32_t id = 0; id < vocabulary.size() && !has_pieces; ++id) {
        has_pieces = vocabulary.text(id).starts_with("##") && vocabulary.text(id).size() > 2;
    }
    if (!has_pieces) {
        throw Error(
            ErrorKind::unsupported,
            "none of its " + std::to_string(vocabulary.count()) +
                " tokens begins with '##', so this is no WordPiece vocabulary, and how its words are cut "
                "is not known.",
            {.code = "TK-TYPE", .file = file, .advice = "Give its tokenizer.json instead."});
    }
    const std::string unk_text = config.unk.text.value_or("[UNK]");
    const auto unk = vocabulary.find(unk_text);
    if (!unk) {
        throw Error(ErrorKind::format,
                    "the unknown token '" + printable(unk_text, 60) + "' is not in the vocabulary.",
                    {.code = "TK-UNK", .file = file});
    }
    const Normalizer normalizer = bert_normalizer(config);
    AddedTokens added(special_tokens(config, vocabulary), normalizer);
    std::vector<PostProcessor::Template> around;
    const auto cls = vocabulary.find("[CLS]"), sep = vocabulary.find("[SEP]");
    if (cls && sep) {
        around.push_back({std::vector{*cls}, std::nullopt, std::vector{*sep}});
    }
    std::vector<PretokenizerStep> words;
    words.emplace_back(SplitStep{Regex(white_space_pattern()), SplitBehavior::removed, false});
    words.emplace_back(SplitStep{Regex(punctuation_pattern()), SplitBehavior::isolated, false});
    constexpr std::size_t longest_word = 100; // characters
    return Pipeline{TokenModel(WordPieceModel(std::move(vocabulary), *unk, "##", longest_word)),
                    std::move(added),
                    normalizer,
                    Pretokenizer(std::move(words)),
                    PostProcessor(std::move(around)),
                    {.byte_level = false, .separator = "", .chain = {WordPieceDecoder{}}},
                    std::move(warnings)};
}

} // namespace ergo
