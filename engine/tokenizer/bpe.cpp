// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/bpe.h"

#include "engine/base/utf8.h"
#include "engine/tokenizer/byte_alphabet.h"

#include <algorithm>
#include <cstdio>
#include <functional>

namespace ergo {

// ---- word cache

std::size_t BpeWork::slot_for(std::string_view word, std::uint64_t hash) const {
    const std::size_t mask = slots_.size() - 1;
    std::size_t at = static_cast<std::size_t>(hash) & mask;
    while (slots_[at].word_length != 0) {
        const Slot& slot = slots_[at];
        if (slot.hash == hash && std::string_view(words_).substr(slot.word, slot.word_length) == word) {
            break;
        }
        at = (at + 1) & mask;
    }
    return at;
}

const std::int32_t* BpeWork::find(std::string_view word, std::size_t& count) const {
    if (slots_.empty()) {
        return nullptr;
    }
    const Slot& slot = slots_[slot_for(word, std::hash<std::string_view>{}(word))];
    count = slot.count;
    return slot.word_length != 0 ? ids_.data() + slot.ids : nullptr;
}

void BpeWork::grow() {
    std::vector<Slot> old(slots_.empty() ? 128 : slots_.size() * 2);
    old.swap(slots_);
    const std::size_t mask = slots_.size() - 1;
    for (const Slot& slot : old) {
        if (slot.word_length != 0) {
            std::size_t at = static_cast<std::size_t>(slot.hash) & mask;
            while (slots_[at].word_length != 0) {
                at = (at + 1) & mask;
            }
            slots_[at] = slot;
        }
    }
}

void BpeWork::remember(std::string_view word, const std::int32_t* ids, std::size_t count) {
    if (word.empty() || word.size() > longest_word || words_known_ >= most_words) {
        return;
    }
    if ((words_known_ + 1) * 2 > slots_.size()) {
        grow();
    }
    const std::uint64_t hash = std::hash<std::string_view>{}(word);
    Slot& slot = slots_[slot_for(word, hash)];
    if (slot.word_length != 0) {
        return;
    }
    slot = {hash, static_cast<std::uint32_t>(words_.size()), static_cast<std::uint32_t>(ids_.size()),
            static_cast<std::uint32_t>(word.size()), static_cast<std::uint32_t>(count)};
    words_ += word;
    ids_.insert(ids_.end(), ids, ids + count);
    ++words_known_;
}

// ---- model

BpeModel::BpeModel(Vocabulary vocabulary, BpeOptions options)
    : vocabulary_(std::move(vocabulary)), options_(std::move(options)) {
    for (unsigned byte = 0; byte < 256; ++byte) {
        std::string character;
        append_utf8(character, byte_to_character(static_cast<std::uint8_t>(byte)));
        byte_ids_[byte] = vocabulary_.find(character).value_or(-1);
        char name[8];
        std::snprintf(name, sizeof name, "<0x%02X>", byte);
        fallback_ids_[byte] = options_.byte_fallback ? vocabulary_.find(name).value_or(-1) : -1;
    }
    simple_bytes_ = !options_.unk && !options_.byte_fallback && options_.continuing_subword_prefix.empty() &&
                    options_.end_of_word_suffix.empty();
}

BpeModel::Merge BpeModel::add_merge(std::string_view left, std::string_view right) {
    const auto left_id = vocabulary_.find(left);
    const auto right_id = vocabulary_.find(right);
    if (!left_id || !right_id) {
        return left_id ? Merge::right_unknown : Merge::left_unknown;
    }
    // Within a merged token the right part no longer stands first, so its prefix goes.
    const std::size_t prefix = options_.continuing_subword_prefix.size();
    if (right.size() < prefix) {
        return Merge::result_unknown;
    }
    const auto merged = vocabulary_.find(std::string(left) += right.substr(prefix));
    if (!merged) {
        return Merge::result_unknown;
    }
    merges_.set(key(*left_id, *right_id),
                std::uint64_t{merge_count_} << 32 | static_cast<std::uint32_t>(*merged));
    ++merge_count_;
    return Merge::ok;
}

BpeModel::Pair BpeModel::pair(std::int32_t left, std::int32_t right) const {
    const std::uint64_t value = merges_.find(key(left, right));
    if (value == FlatMap::absent) {
        return {no_rank, 0};
    }
    return {static_cast<std::uint32_t>(value >> 32), static_cast<std::int32_t>(value & 0xffffffffu)};
}

void BpeModel::encode_word(std::string_view word, bool raw_bytes, BpeWork& work,
                           std::vector<std::int32_t>& out) const {
    std::size_t count = 0;
    const bool cached = word.size() <= BpeWork::longest_word;
    if (const std::int32_t* known = cached ? work.find(word, count) : nullptr) {
        out.insert(out.end(), known, known + count);
        return;
    }
    work.start_.clear();
    std::string mapped;
    if (raw_bytes && (!simple_bytes_ || options_.ignore_merges)) {
        mapped = bytes_to_alphabet(word);
    }
    const std::string_view characters = raw_bytes ? std::string_view(mapped) : word;
    const auto whole = options_.ignore_merges ? vocabulary_.find(characters) : std::nullopt;
    if (whole) {
        work.start_.push_back(*whole);
    } else {
        if (raw_bytes && simple_bytes_) {
            start_from_bytes(word, work.start_);
        } else {
            start_from_characters(characters, work.start_);
        }
        constexpr std::size_t short_word = 32; // symbols; beyond it the heap wins
        work.start_.size() <= short_word ? merge_short(work) : merge_long(work);
    }
    if (cached) {
        work.remember(word, work.start_.data(), work.start_.size());
    }
    out.insert(out.end(), work.start_.begin(), work.start_.end());
}

// A byte without a token is dropped, and its neighbours become neighbours of each other.
void BpeModel::start_from_bytes(std::string_view word, std::vector<std::int32_t>& out) const {
    for (const char byte : word) {
        const std::int32_t id = byte_ids_[static_cast<unsigned char>(byte)];
        if (id >= 0) {
            out.push_back(id);
        }
    }
}

void BpeModel::start_from_characters(std::string_view word, std::vector<std::int32_t>& out) const {
    bool unknown_waits =
        false; // an unk not yet written; the reference writes it only before a known character
    const auto write_unknown = [&] {
        if (unknown_waits) {
            out.push_back(*options_.unk);
            unknown_waits = false;
        }
    };
    std::string decorated;
    for (std::size_t at = 0; at < word.size();) {
        const std::size_t length = decode_utf8(word, at).length;
        std::string_view character = word.substr(at, length);
        const bool first = at == 0, last = at + length >= word.size();
        at += length;
        if ((!first && !options_.continuing_subword_prefix.empty()) ||
            (last && !options_.end_of_word_suffix.empty())) {
            decorated = first ? "" : options_.continuing_subword_prefix;
            decorated += character;
            decorated += last ? options_.end_of_word_suffix : "";
            character = decorated;
        }
        if (const auto id = vocabulary_.find(character)) {
            write_unknown();
            out.push_back(*id);
            continue;
        }
        const auto fallback = [&](char byte) { return fallback_ids_[static_cast<unsigned char>(byte)]; };
        if (options_.byte_fallback &&
            std::all_of(character.begin(), character.end(), [&](char byte) { return fallback(byte) >= 0; })) {
            std::transform(character.begin(), character.end(), std::back_inserter(out), fallback);
        } else if (options_.unk) {
            if (!options_.fuse_unk) {
                write_unknown();
            }
            unknown_waits = true;
        }
    }
    write_unknown();
}

// Few symbols: the best pair is looked for again after every merge.
void BpeModel::merge_short(BpeWork& work) const {
    std::vector<std::int32_t>& ids = work.start_;
    std::vector<std::uint32_t>& ranks = work.ranks_;
    if (ids.size() < 2) {
        return;
    }
    ranks.resize(ids.size() - 1);
    for (std::size_t i = 0; i + 1 < ids.size(); ++i) {
        ranks[i] = pair(ids[i], ids[i + 1]).rank;
    }
    while (!ranks.empty()) {
        const auto best = std::min_element(ranks.begin(), ranks.end()); // the leftmost of equals
        if (*best == no_rank) {
            return;
        }
        const auto at = static_cast<std::size_t>(best - ranks.begin());
        ids[at] = pair(ids[at], ids[at + 1]).id;
        ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at) + 1);
        ranks.erase(best);
        if (at > 0) {
            ranks[at - 1] = pair(ids[at - 1], ids[at]).rank;
        }
        if (at < ranks.size()) {
            ranks[at] = pair(ids[at], ids[at + 1]).rank;
        }
    }
}

// Many symbols: a linked list, and a heap of candidates in which outdated ones are passed over.
void BpeModel::merge_long(BpeWork& work) const {
    auto& symbols = work.symbols_;
    auto& heap = work.candidates_;
    const auto& ids = work.start_;
    const auto at = [&](std::int32_t i) -> BpeWork::Symbol& { return symbols[static_cast<std::size_t>(i)]; };
    const auto count = static_cast<std::int32_t>(ids.size());
    symbols.resize(ids.size());
    heap.clear();
    const auto candidate = [&](std::int32_t i) -> std::optional<std::uint64_t> {
        const std::uint32_t rank = pair(at(i).id, at(at(i).next).id).rank;
        return rank == no_rank ? std::nullopt
                               : std::optional(std::uint64_t{rank} << 32 | static_cast<std::uint32_t>(i));
    };
    const auto push = [&](std::int32_t i) {
        if (const auto found = candidate(i)) {
            heap.push_back(*found);
            std::push_heap(heap.begin(), heap.end(), std::greater<>());
        }
    };
    for (std::int32_t i = 0; i < count; ++i) {
        at(i) = {ids[static_cast<std::size_t>(i)], i - 1, i + 1 < count ? i + 1 : -1};
    }
    for (std::int32_t i = 0; i + 1 < count; ++i) {
        if (const auto found = candidate(i)) {
            heap.push_back(*found);
        }
    }
    std::make_heap(heap.begin(), heap.end(), std::greater<>());
    constexpr std::int32_t gone = -1; // id of a symbol that was merged into its left neighbour
    while (!heap.empty()) {
        std::pop_heap(heap.begin(), heap.end(), std::greater<>());
        const std::uint64_t top = heap.back();
        heap.pop_back();
        const auto left = static_cast<std::int32_t>(top & 0xffffffffu);
        const std::int32_t right = at(left).next;
        if (at(left).id == gone || right < 0) {
            continue;
        }
        const Pair merge = pair(at(left).id, at(right).id);
        if (merge.rank != top >> 32) {
            continue;
        }
        const std::int32_t after = at(right).next;
        at(left).id = merge.id;
        at(left).next = after;
        at(right).id = gone;
        if (after >= 0) {
            at(after).previous = left;
            push(left);
        }
        if (at(left).previous >= 0) {
            push(at(left).previous);
        }
    }
    work.start_.clear();
    for (std::int32_t i = 0; i >= 0; i = at(i).next) {
        work.start_.push_back(at(i).id);
    }
}

} // namespace ergo
