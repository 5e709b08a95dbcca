// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/component_reader.h"

#include "engine/base/error.h"
#include "engine/tokenizer/regex_syntax.h"

namespace ergo {

namespace {

const std::string& type_of(const JsonView& part) {
    return part.at("type").text();
}

[[noreturn]] void unknown_type(const JsonView& part, const std::string& kind) {
    part.unsupported("is of type '" + printable(type_of(part)) + "', a " + kind +
                     " that this program does not support");
}

// Calls `each` for the members of nested Sequences, in order; `key` names their list.
template <class Each> void flatten(const JsonView& part, const std::string& key, const Each& each) {
    if (type_of(part) != "Sequence") {
        each(part);
        return;
    }
    for (const JsonView& member : part.at(key).elements()) {
        flatten(member, key, each);
    }
}

SplitStep read_split(const JsonView& part) {
    const JsonView pattern = part.at("pattern");
    const auto regex = pattern.find("Regex");
    const auto plain = pattern.find("String");
    if (regex.has_value() == plain.has_value()) {
        pattern.fail("must hold either 'Regex' or 'String'");
    }
    const std::string behavior = part.at("behavior").text();
    static constexpr std::pair<std::string_view, SplitBehavior> names[] = {
        {"Removed", SplitBehavior::removed},
        {"Isolated", SplitBehavior::isolated},
        {"MergedWithPrevious", SplitBehavior::merged_with_previous},
        {"MergedWithNext", SplitBehavior::merged_with_next},
        {"Contiguous", SplitBehavior::contiguous},
    };
    for (const auto& [name, value] : names) {
        if (behavior == name) {
            try {
                Regex compiled(regex ? translate_regex(regex->text()) : escape_regex(plain->text()));
                return SplitStep{std::move(compiled), value, part.boolean_or("invert", false)};
            } catch (const Error& error) { // it knows the pattern, not the file
                throw Error(error.kind(), error.message(), {.code = error.where().code, .file = part.file()});
            }
        }
    }
    part.at("behavior").unsupported("is '" + printable(behavior) + "', which is no known behaviour");
}

std::vector<std::int32_t> read_ids(const JsonView& list) {
    std::vector<std::int32_t> ids;
    for (const JsonView& id : list.elements()) {
        ids.push_back(static_cast<std::int32_t>(id.integer(0, vocabulary_id_limit - 1)));
    }
    return ids;
}

// TemplateProcessing {single, special_tokens}: what goes around one text.
PostProcessor::Template read_template(const JsonView& part) {
    PostProcessor::Template items;
    for (const JsonView& piece : part.at("single").elements()) {
        if (const auto sequence = piece.find("Sequence")) {
            if (sequence->at("id").text() != "A") {
                sequence->fail("asks for a second text in the template for one");
            }
            items.emplace_back(std::nullopt);
        } else {
            const std::string name = piece.at("SpecialToken").at("id").text();
            items.emplace_back(read_ids(part.at("special_tokens").at(name).at("ids")));
        }
    }
    return items;
}

// BertProcessing and RobertaProcessing {cls: [text, id], sep: [text, id]}.
PostProcessor::Template read_cls_and_sep(const JsonView& part) {
    const auto id_of = [&](const std::string& key) {
        const auto pair = part.at(key).elements();
        if (pair.size() != 2) {
            part.at(key).fail("must be a token and its id");
        }
        return std::vector{static_cast<std::int32_t>(pair[1].integer(0, vocabulary_id_limit - 1))};
    };
    return {id_of("cls"), std::nullopt, id_of("sep")};
}

BpeOptions read_bpe_options(const JsonView& model, const Vocabulary& vocabulary) {
    BpeOptions options;
    options.continuing_subword_prefix = model.text_or("continuing_subword_prefix", "");
    options.end_of_word_suffix = model.text_or("end_of_word_suffix", "");
    options.fuse_unk = model.boolean_or("fuse_unk", false);
    options.byte_fallback = model.boolean_or("byte_fallback", false);
    options.ignore_merges = model.boolean_or("ignore_merges", false);
    if (const auto unk = model.find("unk_token")) {
        options.unk = vocabulary.find(unk->text());
        if (!options.unk) {
            unk->fail("is '" + printable(unk->text()) + "', which is not in the vocabulary", "TK-UNK");
        }
    }
    return options;
}

} // namespace

Vocabulary read_vocabulary(const JsonView& vocab) {
    vocab.expect_object();
    Vocabulary vocabulary;
    for (const auto& [token, id] : vocab.raw().items()) {
        if (!id.is_number_integer() || id < 0 || id >= vocabulary_id_limit) {
            vocab.fail("gives the token '" + printable(token, 60) + "' the id " + printable(id.dump(), 40) +
                           ", which is not a whole number from 0 to " +
                           std::to_string(vocabulary_id_limit - 1),
                       "TK-VOCAB");
        }
        const auto number = id.get<std::int32_t>();
        if (vocabulary.add(token, number) != Vocabulary::Added::yes) { // an object holds a text once
            vocab.fail("gives the id " + std::to_string(number) + " to both '" +
                           printable(vocabulary.text(number), 60) + "' and '" + printable(token, 60) + "'",
                       "TK-VOCAB");
        }
    }
    return vocabulary;
}

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

BpeModel read_model(const JsonView& model) {
    model.expect_object();
    // Old files name no type; merges are what only this one has.
    const std::string type = model.text_or("type", model.find("merges") ? "BPE" : "without a name");
    if (type != "BPE") {
        model.unsupported("is of type '" + printable(type) + "'; this program reads BPE models only");
    }
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

AddedToken read_added_token(const JsonView& object) {
    AddedToken token;
    token.content = object.at("content").text();
    token.special = object.boolean_or("special", false);
    token.single_word = object.boolean_or("single_word", false);
    token.lstrip = object.boolean_or("lstrip", false);
    token.rstrip = object.boolean_or("rstrip", false);
    token.normalized = object.boolean_or("normalized", !token.special);
    if (token.content.size() > AddedTokens::longest_content) {
        object.fail("has a content of " + std::to_string(token.content.size()) + " bytes; the limit is " +
                        std::to_string(AddedTokens::longest_content),
                    "TK-ADDED");
    }
    return token;
}

void check_added_token(const AddedToken& token, const Vocabulary& vocabulary, const JsonView& where) {
    const std::string name = "'" + printable(token.content, 60) + "' the id " + std::to_string(token.id);
    if (vocabulary.has(token.id) && vocabulary.text(token.id) != token.content) {
        where.fail("gives " + name + ", which is '" + printable(vocabulary.text(token.id), 60) +
                       "' in the vocabulary",
                   "TK-ADDED");
    }
    const auto known = vocabulary.find(token.content);
    if (known && *known != token.id) {
        where.fail("gives " + name + ", but the vocabulary gives it " + std::to_string(*known), "TK-ADDED");
    }
}

std::vector<AddedToken> read_added_tokens(const OptionalPart& list, const Vocabulary& vocabulary) {
    std::vector<AddedToken> tokens;
    if (!list) {
        return tokens;
    }
    constexpr std::size_t most_bytes = std::size_t{16}
                                       << 20; // of contents together: they become a prefix tree
    std::size_t bytes = 0;
    Vocabulary seen;
    for (const JsonView& object : list->elements()) {
        AddedToken token = read_added_token(object);
        token.id = static_cast<std::int32_t>(object.at("id").integer(0, vocabulary_id_limit - 1));
        if (token.content.empty()) {
            continue; // the reference ignores it
        }
        bytes += token.content.size();
        if (bytes > most_bytes) {
            list->fail("holds more than " + std::to_string(most_bytes) + " bytes of text", "TK-ADDED");
        }
        check_added_token(token, vocabulary, object);
        if (seen.add(token.content, token.id) != Vocabulary::Added::yes) {
            object.fail("repeats the id " + std::to_string(token.id) + " or the content '" +
                            printable(token.content, 60) + "' of an earlier added token",
                        "TK-ADDED");
        }
        tokens.push_back(std::move(token));
    }
    return tokens;
}

Normalizer read_normalizer(const OptionalPart& part) {
    bool nfc = false;
    if (part) {
        flatten(*part, "normalizers", [&](const JsonView& step) {
            if (type_of(step) != "NFC") {
                unknown_type(step, "normalizer");
            }
            nfc = true;
        });
    }
    return Normalizer(nfc);
}

Pretokenizer read_pretokenizer(const OptionalPart& part) {
    std::vector<PretokenizerStep> steps;
    if (part) {
        flatten(*part, "pretokenizers", [&](const JsonView& step) {
            const std::string& type = type_of(step);
            if (type == "ByteLevel") {
                steps.emplace_back(ByteLevelStep{step.boolean_or("add_prefix_space", true),
                                                 step.boolean_or("use_regex", true)});
            } else if (type == "Split") {
                steps.emplace_back(read_split(step));
            } else if (type == "Digits") {
                steps.emplace_back(DigitsStep{step.boolean_or("individual_digits", false)});
            } else {
                unknown_type(step, "pre-tokenizer");
            }
        });
    }
    return Pretokenizer(std::move(steps));
}

PostProcessor read_post_processor(const OptionalPart& part) {
    std::vector<PostProcessor::Template> templates;
    if (part) {
        flatten(*part, "processors", [&](const JsonView& step) {
            const std::string& type = type_of(step);
            if (type == "TemplateProcessing") {
                templates.push_back(read_template(step));
            } else if (type == "RobertaProcessing" || type == "BertProcessing") {
                templates.push_back(read_cls_and_sep(step));
            } else if (type != "ByteLevel") { // that one only moves offsets
                unknown_type(step, "post-processor");
            }
        });
    }
    return PostProcessor(std::move(templates));
}

Decoder read_decoder(const OptionalPart& part) {
    if (!part) {
        return {.byte_level = false, .separator = " "};
    }
    Decoder decoder;
    bool first = true;
    flatten(*part, "decoders", [&](const JsonView& step) {
        const std::string& type = type_of(step);
        // After Fuse the tokens are one text, to which ByteLevel would apply as a whole.
        if (type != "Fuse" && !(type == "ByteLevel" && first)) {
            unknown_type(step, "decoder");
        }
        decoder.byte_level = decoder.byte_level || type == "ByteLevel";
        first = false;
    });
    return decoder;
}

} // namespace ergo
