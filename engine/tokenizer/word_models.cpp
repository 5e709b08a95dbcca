// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/word_models.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/tokenizer/byte_range.h"

#include <algorithm>
#include <cstdio>

namespace ergo {

// ---- WordPiece

WordPieceModel::WordPieceModel(Vocabulary vocabulary, std::int32_t unk, std::string prefix,
                               std::size_t longest_word)
    : vocabulary_(std::move(vocabulary)), unk_(unk), prefix_(std::move(prefix)), longest_word_(longest_word) {
    for (std::int32_t id = 0; id < vocabulary_.size(); ++id) {
        longest_token_ = std::max(longest_token_, vocabulary_.text(id).size());
    }
}

void WordPieceModel::encode_word(std::string_view word, std::vector<std::int32_t>& out) const {
    const auto characters = static_cast<std::size_t>(
        std::count_if(word.begin(), word.end(), [](char c) { return (c & 0xC0) != 0x80; }));
    if (characters > longest_word_) {
        out.push_back(unk_);
        return;
    }
    const std::size_t first = out.size();
    std::string candidate;
    for (std::size_t begin = 0; begin < word.size();) {
        candidate = begin > 0 ? prefix_ : "";
        const std::size_t prefix = candidate.size();
        candidate += word.substr(begin, longest_token_); // no token is longer
        std::optional<std::int32_t> found;
        while (candidate.size() > prefix && !(found = vocabulary_.find(candidate))) {
            do { // shorter by one character
                candidate.pop_back();
            } while (candidate.size() > prefix && begin + candidate.size() - prefix < word.size() &&
                     (word[begin + candidate.size() - prefix] & 0xC0) == 0x80);
        }
        if (!found) {
            out.resize(first);
            out.push_back(unk_);
            return;
        }
        out.push_back(*found);
        begin += candidate.size() - prefix;
    }
}

// ---- WordLevel

void WordLevelModel::encode_word(std::string_view word, std::vector<std::int32_t>& out) const {
    const auto found = vocabulary_.find(word);
    if (found || unk_) {
        out.push_back(found ? *found : *unk_);
    }
}

// ---- Unigram

UnigramModel::UnigramModel(Vocabulary vocabulary, std::vector<double> scores, std::optional<std::int32_t> unk,
                           bool byte_fallback)
    : vocabulary_(std::move(vocabulary)), scores_(std::move(scores)), unk_(unk), token_of_node_{-1} {
    constexpr double penalty = 10; // of an unknown character, below the least likely token
    unknown_score_ = (scores_.empty() ? 0 : *std::min_element(scores_.begin(), scores_.end())) - penalty;
    for (std::int32_t id = 0; id < vocabulary_.size(); ++id) {
        std::uint64_t node = 0;
        for (const char c : vocabulary_.text(id)) {
            const std::uint64_t edge = node << 8 | static_cast<unsigned char>(c);
            std::uint64_t next = children_.find(edge);
            if (next == FlatMap::absent) {
                next = token_of_node_.size();
                token_of_node_.push_back(-1);
                children_.set(edge, next);
            }
            node = next;
        }
        if (node != 0) {
            token_of_node_[node] = id;
        }
    }
    for (unsigned byte = 0; byte < 256; ++byte) {
        char name[8];
        std::snprintf(name, sizeof name, "<0x%02X>", byte);
        byte_ids_[byte] = byte_fallback ? vocabulary_.find(name).value_or(-1) : -1;
    }
}

void UnigramModel::encode_word(std::string_view word, std::vector<std::int32_t>& out) const {
    struct Step {
        double score = 0; // of the best way to here
        std::int32_t id = -1;
        std::size_t from = 0;
        bool reached = false;
    };
    std::vector<Step> best(word.size() + 1);
    best[0].reached = true;
    const auto offer = [&](std::size_t from, std::size_t to, double score, std::int32_t id) {
        const double total = best[from].score + score;
        if (!best[to].reached || total > best[to].score) {
            best[to] = {total, id, from, true};
        }
    };
    for (std::size_t at = 0; at < word.size();) {
        const std::size_t length = decode_utf8(word, at).length;
        bool has_single = false;
        std::uint64_t node = 0;
        for (std::size_t end = at; end < word.size();) {
            node = children_.find(node << 8 | static_cast<unsigned char>(word[end]));
            if (node == FlatMap::absent) {
                break;
            }
            ++end;
            const std::int32_t id = token_of_node_[node];
            if (id >= 0) {
                offer(at, end, scores_[static_cast<std::size_t>(id)], id);
                has_single = has_single || end - at == length;
            }
        }
        if (!has_single) {
            if (!unk_) {
                throw Error(ErrorKind::format,
                            "the text has the character '" + printable(word.substr(at, length)) +
                                "', for which the tokenizer has no token and no unknown token.",
                            {.code = "TK-UNK"});
            }
            offer(at, at + length, unknown_score_, *unk_);
        }
        at += length;
    }
    std::vector<ByteRange> pieces;
    for (std::size_t end = word.size(); end > 0; end = best[end].from) {
        pieces.push_back({best[end].from, end});
    }
    std::reverse(pieces.begin(), pieces.end());
    for (std::size_t i = 0; i < pieces.size(); ++i) { // unknown neighbours are one
        ByteRange piece = pieces[i];
        const auto unknown = [&](const ByteRange& range) { return unk_ && best[range.end].id == *unk_; };
        while (unknown(pieces[i]) && i + 1 < pieces.size() && unknown(pieces[i + 1])) {
            piece.end = pieces[++i].end;
        }
        append(word.substr(piece.begin, piece.end - piece.begin), out);
    }
}

void UnigramModel::append(std::string_view piece, std::vector<std::int32_t>& out) const {
    if (const auto known = vocabulary_.find(piece)) {
        out.push_back(*known);
        return;
    }
    const auto byte_id = [&](char byte) { return byte_ids_[static_cast<unsigned char>(byte)]; };
    if (std::all_of(piece.begin(), piece.end(), [&](char byte) { return byte_id(byte) >= 0; })) {
        std::transform(piece.begin(), piece.end(), std::back_inserter(out), byte_id);
    } else if (unk_) {
        out.push_back(*unk_);
    }
}

} // namespace ergo
