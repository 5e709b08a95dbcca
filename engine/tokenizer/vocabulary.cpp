// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/tokenizer/vocabulary.h"

#include <functional>
#include <random>

namespace ergo {

Vocabulary::Vocabulary()
    : spread_(static_cast<std::uint64_t>(std::random_device()()) << 32 | std::random_device()() | 1) {}

std::size_t Vocabulary::slot_for(std::string_view text) const {
    const std::size_t mask = slots_.size() - 1;
    // A file that knows the hash function does not know where its tokens will lie.
    std::size_t at = (std::hash<std::string_view>{}(text)*spread_ >> 32) & mask;
    while (slots_[at] >= 0 && text_of(entries_[static_cast<std::size_t>(slots_[at])]) != text) {
        at = (at + 1) & mask;
    }
    return at;
}

void Vocabulary::grow() {
    slots_.assign(slots_.empty() ? 1024 : slots_.size() * 2, -1);
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        slots_[slot_for(text_of(entries_[i]))] = static_cast<std::int32_t>(i);
    }
}

Vocabulary::Added Vocabulary::add(std::string_view text, std::int32_t id) {
    if (has(id)) {
        return Added::id_taken;
    }
    if ((entries_.size() + 1) * 2 > slots_.size()) {
        grow();
    }
    const std::size_t slot = slot_for(text);
    if (slots_[slot] >= 0) {
        return Added::text_taken;
    }
    const auto entry = static_cast<std::int32_t>(entries_.size());
    entries_.push_back(
        {static_cast<std::uint32_t>(texts_.size()), static_cast<std::uint32_t>(text.size()), id});
    texts_ += text;
    slots_[slot] = entry;
    if (id >= size()) {
        entry_of_id_.resize(static_cast<std::size_t>(id) + 1, -1);
    }
    entry_of_id_[static_cast<std::size_t>(id)] = entry;
    return Added::yes;
}

std::optional<std::int32_t> Vocabulary::find(std::string_view text) const {
    if (slots_.empty()) {
        return std::nullopt;
    }
    const std::int32_t entry = slots_[slot_for(text)];
    return entry < 0 ? std::nullopt : std::optional(entries_[static_cast<std::size_t>(entry)].id);
}

std::string_view Vocabulary::text(std::int32_t id) const {
    const std::int32_t entry = entry_of(id);
    return entry < 0 ? std::string_view() : text_of(entries_[static_cast<std::size_t>(entry)]);
}

} // namespace ergo
