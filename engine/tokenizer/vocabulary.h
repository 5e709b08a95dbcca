// SPDX-License-Identifier: GPL-3.0-or-later
// Token texts and their ids, both ways. Ids need not be contiguous. Built by one thread, then only read.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ergo {

/// Ids are below this (engine rule; file-formats specification §6.2).
inline constexpr std::int32_t vocabulary_id_limit = 16'000'000;

class Vocabulary {
  public:
    enum class Added { yes, text_taken, id_taken };

    Vocabulary();

    /// Adds a token; `id` must be in [0, vocabulary_id_limit). Nothing changes if its text or id is taken.
    Added add(std::string_view text, std::int32_t id);

    std::optional<std::int32_t> find(std::string_view text) const;

    bool has(std::int32_t id) const { return entry_of(id) >= 0; }

    /// The text of `id`; "" if there is no such token. The view lives until the next add().
    std::string_view text(std::int32_t id) const;

    std::size_t count() const { return entries_.size(); }

    /// Highest id + 1; 0 when empty.
    std::int32_t size() const { return static_cast<std::int32_t>(entry_of_id_.size()); }

  private:
    struct Entry {
        std::uint32_t offset = 0, length = 0; // into texts_
        std::int32_t id = 0;
    };

    std::int32_t entry_of(std::int32_t id) const {
        return id < 0 || id >= size() ? -1 : entry_of_id_[static_cast<std::size_t>(id)];
    }
    std::string_view text_of(const Entry& entry) const {
        return {texts_.data() + entry.offset, entry.length};
    }
    std::size_t slot_for(std::string_view text) const; // its slot, or the free one where it belongs
    void grow();

    std::uint64_t spread_; // odd, of its own
    std::string texts_;
    std::vector<Entry> entries_;
    std::vector<std::int32_t> entry_of_id_; // -1: no token
    std::vector<std::int32_t> slots_;       // open addressing over entries_, -1: free
};

} // namespace ergo
