// SPDX-License-Identifier: GPL-3.0-or-later
// Bounded lock-free ring for one producer thread and one consumer thread. A full ring refuses the newest
// item: a slow reader drops frames, the writer never waits.
#pragma once

#include <atomic>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

namespace ergo {

template <class T> class SpscRing {
  public:
    /// `capacity` items at most, at least 1.
    explicit SpscRing(std::size_t capacity) : slots_(capacity + 1) {}

    /// Producer only. False (and counted) when full; `item` is then left untouched.
    bool push(T&& item) {
        const std::size_t tail = tail_.load(std::memory_order_relaxed);
        const std::size_t next = (tail + 1) % slots_.size();
        if (next == head_.load(std::memory_order_acquire)) {
            dropped_.fetch_add(1, std::memory_order_relaxed);
            return false;
        }
        slots_[tail] = std::move(item);
        tail_.store(next, std::memory_order_release);
        return true;
    }

    /// Consumer only.
    std::optional<T> pop() {
        const std::size_t head = head_.load(std::memory_order_relaxed);
        if (head == tail_.load(std::memory_order_acquire)) {
            return std::nullopt;
        }
        std::optional<T> item(std::move(slots_[head]));
        head_.store((head + 1) % slots_.size(), std::memory_order_release);
        return item;
    }

    /// Items refused so far.
    std::size_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

  private:
    std::vector<T> slots_; // one slot stays empty to tell full from empty
    std::atomic<std::size_t> head_{0}, tail_{0}, dropped_{0};
};

} // namespace ergo
