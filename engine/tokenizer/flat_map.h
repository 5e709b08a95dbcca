// SPDX-License-Identifier: GPL-3.0-or-later
// Hash map from 64-bit keys to 64-bit values in one array: merges and tries are looked up millions of times a
// second. A plain value; any thread may read it while none writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ergo {

class FlatMap {
  public:
    static constexpr std::uint64_t absent = ~std::uint64_t{0};

    /// The value of `key`, or `absent`.
    std::uint64_t find(std::uint64_t key) const {
        if (slots_.empty()) {
            return absent;
        }
        for (std::size_t at = place(key);; at = (at + 1) & mask_) {
            if (slots_[at].key == key) {
                return slots_[at].value;
            }
            if (slots_[at].key == absent) {
                return absent;
            }
        }
    }

    /// Sets `key` (not `absent`) to `value`, over any earlier value.
    void set(std::uint64_t key, std::uint64_t value) {
        if ((count_ + 1) * 2 > slots_.size()) {
            grow();
        }
        put(key, value);
    }

    std::size_t size() const { return count_; }

  private:
    struct Slot {
        std::uint64_t key = absent, value = absent;
    };

    std::size_t place(std::uint64_t key) const {
        key *= 0x9e3779b97f4a7c15u; // Fibonacci hashing: the high bits are the mixed ones
        return static_cast<std::size_t>(key >> 20) & mask_;
    }

    void put(std::uint64_t key, std::uint64_t value) {
        std::size_t at = place(key);
        while (slots_[at].key != absent && slots_[at].key != key) {
            at = (at + 1) & mask_;
        }
        count_ += slots_[at].key == absent;
        slots_[at] = {key, value};
    }

    void grow() {
        std::vector<Slot> old(slots_.empty() ? 16 : slots_.size() * 2);
        old.swap(slots_);
        mask_ = slots_.size() - 1;
        count_ = 0;
        for (const Slot& slot : old) {
            if (slot.key != absent) {
                put(slot.key, slot.value);
            }
        }
    }

    std::vector<Slot> slots_;
    std::size_t mask_ = 0, count_ = 0;
};

} // namespace ergo
