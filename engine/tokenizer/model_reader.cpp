// SPDX-License-Identifier: GPL-3.0-or-later
// The `model` of a tokenizer.json.
#include "engine/base/error.h"
#include "engine/tokenizer/component_reader.h"

namespace ergo {

namespace {

/// What is put before or behind every character of a word.
std::string affix(const JsonView& model, const char* key, const char* fallback) {
    constexpr std::size_t longest = 64; // bytes
    std::string text = model.text_or(key, fallback);
    if (text.size() > longest) {
        model.fail(std::string("has a ") + key + " of " + std::to_string(text.size()) + " bytes; at most " +
                       std::to_string(longest) + " are read",
                   "TK-LIMIT");
    }
    return text;
}

// The id of the token that `key` names; TK-UNK when it has none.
std::optional<std::int32_t> read_unk(const JsonView& model, const Vocabulary& vocabulary) {
    const auto unk = model.find("unk_token");
    if (!unk) {
        return std::nullopt;
    }
    const auto id = vocabulary.find(unk->text());
    if (!id) {
        unk->fail("is '" + printable(unk->text()) + "', which is not in the vocabulary", "TK-UNK");
    }
    return id;
}

BpeOptions read_bpe_options(const JsonView& model, const Vocabulary& vocabulary) {
    BpeOptions options;
    options.continuing_subword_prefix = affix(model, "continuing_subword_prefix", "");
    options.end_of_word_suffix = affix(model, "end_of_word_suffix", "");
    options.fuse_unk = model.boolean_or("fuse_unk", false);
    options.byte_fallback = model.boolean_or("byte_fallback", false);
    options.ignore_merges = model.boolean_or("ignore_merges", false);
    options.unk = read_unk(model, vocabulary);
    return options;
}

} // namespace

std::pair<std::string_view, std::string_view> split_merge(std::string_view line, std::size_t number,
                                                          const std::string& file) {
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos) {
        throw Error(ErrorKind::format,
                    "merge " + std::to_string(number) + " is not two tokens with one space between: '" +
                        printable(line, 60) + "'.",
                    {.code = "TK-MERGE", .file = file});
    }
    return {line.substr(0, space), line.substr(space + 1)};
}

void add_merge(BpeModel& model, std::string_view left, std::string_view right, std::size_t number,
               const std::string& file) {
    std::string missing;
    switch (model.add_merge(left, right)) {
    case BpeModel::Merge::ok:
        return;
    case BpeModel::Merge::left_unknown:
        missing = left;
        break;
    case BpeModel::Merge::right_unknown:
        missing = right;
        break;
    case BpeModel::Merge::result_unknown:
        missing = std::string(left).append(right);
        break;
    }
    throw Error(ErrorKind::format,
                "merge " + std::to_string(number) + " ('" + printable(left, 60) + "' and '" +
                    printable(right, 60) + "') needs the token '" + printable(missing, 60) +
                    "', which is not in the vocabulary.",
                {.code = "TK-MERGE", .file = file});
}

namespace {

BpeModel read_bpe(const JsonView& model) {
    Vocabulary vocabulary = read_vocabulary(model.at("vocab"));
    BpeOptions options = read_bpe_options(model, vocabulary);
    BpeModel bpe(std::move(vocabulary), std::move(options));
    const JsonView merges = model.at("merges");
    merges.expect_array();
    std::size_t number = 0;
    for (const Json& merge : merges.raw()) {
        ++number;
        if (merge.is_string()) {
            const auto [left, right] = split_merge(merge.get_ref<const std::string&>(), number, model.file());
            add_merge(bpe, left, right, number, model.file());
        } else if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
            add_merge(bpe, merge[0].get_ref<const std::string&>(), merge[1].get_ref<const std::string&>(),
                      number, model.file());
        } else {
            merges.fail("has a merge, number " + std::to_string(number) + ", that is not two tokens",
                        "TK-MERGE");
        }
    }
    return bpe;
}

WordPieceModel read_word_piece(const JsonView& model) {
    Vocabulary vocabulary = read_vocabulary(model.at("vocab"));
    model.at("unk_token");
    const std::int32_t unk = *read_unk(model, vocabulary);
    const auto longest = model.find("max_input_chars_per_word");
    return WordPieceModel(std::move(vocabulary), unk, affix(model, "continuing_subword_prefix", "##"),
                          longest ? static_cast<std::size_t>(longest->integer(1, 1'000'000)) : 100);
}

WordLevelModel read_word_level(const JsonView& model) {
    Vocabulary vocabulary = read_vocabulary(model.at("vocab"));
    const auto unk = read_unk(model, vocabulary);
    return WordLevelModel(std::move(vocabulary), unk);
}

UnigramModel read_unigram(const JsonView& model) {
    const JsonView list = model.at("vocab");
    list.expect_array();
    if (list.raw().size() > static_cast<std::size_t>(vocabulary_id_limit)) {
        list.fail("has " + std::to_string(list.raw().size()) + " tokens; the limit is " +
                      std::to_string(vocabulary_id_limit),
                  "TK-VOCAB");
    }
    Vocabulary vocabulary;
    std::vector<double> scores;
    for (const Json& entry : list.raw()) {
        if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
            list.fail("has an entry, number " + std::to_string(scores.size()) +
                          ", that is not a token and its score",
                      "TK-VOCAB");
        }
        const auto id = static_cast<std::int32_t>(scores.size());
        if (vocabulary.add(entry[0].get_ref<const std::string&>(), id) != Vocabulary::Added::yes) {
            list.fail("has the token '" + printable(entry[0].get_ref<const std::string&>(), 60) + "' twice",
                      "TK-VOCAB");
        }
        scores.push_back(entry[1].get<double>());
    }
    std::optional<std::int32_t> unk;
    if (const auto given = model.find("unk_id")) {
        unk = static_cast<std::int32_t>(given->integer(0, vocabulary_id_limit - 1));
        if (!vocabulary.has(*unk)) {
            given->fail("is " + std::to_string(*unk) + ", which is not in the vocabulary", "TK-UNK");
        }
    }
    return UnigramModel(std::move(vocabulary), std::move(scores), unk,
                        model.boolean_or("byte_fallback", false));
}

// Old files name no type: what only one model has tells.
std::string guessed_type(const JsonView& model) {
    if (model.find("merges")) {
        return "BPE";
    }
    if (model.find("continuing_subword_prefix") && model.find("max_input_chars_per_word")) {
        return "WordPiece";
    }
    return model.at("vocab").raw().is_array() ? "Unigram" : "WordLevel";
}

} // namespace

TokenModel read_model(const JsonView& model) {
    model.expect_object();
    const std::string type = model.find("type") ? model.at("type").text() : guessed_type(model);
    if (type == "BPE") {
        return TokenModel(read_bpe(model));
    }
    if (type == "WordPiece") {
        return TokenModel(read_word_piece(model));
    }
    if (type == "WordLevel") {
        return TokenModel(read_word_level(model));
    }
    if (type == "Unigram") {
        return TokenModel(read_unigram(model));
    }
    model.unsupported("is of type '" + printable(type) + "', a model that this program does not support");
}

} // namespace ergo
