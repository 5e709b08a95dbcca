// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/component_reader.h"

#include "engine/base/error.h"
#include "engine/tokenizer/component_type.h"

namespace ergo {

namespace {

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

} // namespace ergo
