// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/added_tokens.h"

#include "engine/base/utf8.h"
#include "engine/tokenizer/unicode_properties.h"

#include <algorithm>

namespace ergo {

namespace {

std::size_t previous_character(std::string_view text, std::size_t at) {
    do {
        --at;
    } while (at > 0 && (text[at] & 0xC0) == 0x80);
    return at;
}

bool word_character_before(std::string_view text, std::size_t at) {
    return at > 0 && is_word_character(decode_utf8(text, previous_character(text, at)).code_point);
}

bool word_character_at(std::string_view text, std::size_t at) {
    return at < text.size() && is_word_character(decode_utf8(text, at).code_point);
}

// Where the white space before `at` begins, not before `floor`.
std::size_t skip_space_left(std::string_view text, std::size_t at, std::size_t floor) {
    while (at > floor) {
        const std::size_t before = previous_character(text, at);
        if (!is_white_space(decode_utf8(text, before).code_point)) {
            break;
        }
        at = before;
    }
    return at;
}

std::size_t skip_space_right(std::string_view text, std::size_t at) {
    while (at < text.size()) {
        const Utf8Char c = decode_utf8(text, at);
        if (!is_white_space(c.code_point)) {
            break;
        }
        at += c.length;
    }
    return at;
}

} // namespace

void AddedTokens::Trie::add(std::string_view pattern, std::size_t token) {
    std::uint64_t node = 0;
    for (const char c : pattern) {
        const std::uint64_t edge = node << 8 | static_cast<unsigned char>(c);
        std::uint64_t next = children_.find(edge);
        if (next == FlatMap::absent) {
            next = tokens_.size();
            tokens_.push_back(none);
            children_.set(edge, next);
        }
        node = next;
    }
    starts_[static_cast<unsigned char>(pattern.front())] = true;
    if (tokens_[node] == none) { // of two with the same normal form the first stays
        tokens_[node] = static_cast<std::int64_t>(token);
    }
}

std::optional<AddedTokens::Trie::Match> AddedTokens::Trie::longest_at(std::string_view text,
                                                                      std::size_t at) const {
    std::optional<Match> best;
    std::uint64_t node = 0;
    for (std::size_t i = at; i < text.size(); ++i) {
        node = children_.find(node << 8 | static_cast<unsigned char>(text[i]));
        if (node == FlatMap::absent) {
            break;
        }
        if (tokens_[node] != none) {
            best = Match{static_cast<std::size_t>(tokens_[node]), i + 1 - at};
        }
    }
    return best;
}

std::string AddedTokens::surface(const AddedToken& token, const Normalizer& normalizer) {
    return token.normalized ? normalizer.apply(token.content) : token.content;
}

AddedTokens::AddedTokens(std::vector<AddedToken> tokens, const Normalizer& normalizer)
    : tokens_(std::move(tokens)) {
    for (std::size_t i = 0; i < tokens_.size(); ++i) {
        const AddedToken& token = tokens_[i];
        vocabulary_.add(token.content, token.id);
        index_of_id_.set(static_cast<std::uint64_t>(token.id), i);
        (token.normalized ? normalized_ : raw_).add(surface(token, normalizer), i);
    }
}

const AddedToken* AddedTokens::find(std::int32_t id) const {
    const std::uint64_t index = id < 0 ? FlatMap::absent : index_of_id_.find(static_cast<std::uint64_t>(id));
    return index == FlatMap::absent ? nullptr : &tokens_[index];
}

bool SpecialMatching::allows(std::size_t begin, std::size_t end) const {
    const auto first = std::partition_point(plain.begin(), plain.end(),
                                            [&](const ByteRange& range) { return range.end <= begin; });
    return anywhere && (first == plain.end() || first->begin >= end);
}

void AddedTokens::split(std::string_view text, bool normalized, const SpecialMatching& special,
                        std::vector<TextPart>& out) const {
    const Trie& trie = normalized ? normalized_ : raw_;
    std::size_t done = 0; // everything before is in `out`
    for (std::size_t at = 0; at < text.size() && !trie.empty();) {
        if (!trie.may_start_with(text[at])) {
            ++at;
            continue;
        }
        const auto match = trie.longest_at(text, at);
        if (!match) {
            ++at;
            continue;
        }
        const AddedToken& token = tokens_[match->token];
        std::size_t begin = at, end = at + match->length;
        if (token.special && !special.allows(begin, end)) {
            at = special.anywhere ? at + 1 : end; // one that is partly data may hide one that is not
            continue;
        }
        at = end; // a match that is rejected below is passed over as a whole
        if (token.single_word && (word_character_before(text, begin) || word_character_at(text, end))) {
            continue;
        }
        // A token of white space may lie inside what the one before it took; `done` is then past its
        // beginning.
        if (token.lstrip) {
            begin = std::max(skip_space_left(text, begin, std::min(done, begin)), done);
        }
        if (token.rstrip) {
            end = skip_space_right(text, end);
        }
        if (done < begin) {
            out.push_back({std::nullopt, text.substr(done, begin - done), done});
        }
        if (begin < end) { // else the token before took all of it
            out.push_back({token.id, {}, begin});
        }
        done = end;
    }
    if (done < text.size()) {
        out.push_back({std::nullopt, text.substr(done), done});
    }
}

} // namespace ergo
