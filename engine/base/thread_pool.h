// SPDX-License-Identifier: GPL-3.0-or-later
// A small team of threads for one loop at a time. The caller works too. Every thread has a share of each
// loop, the same part of loops of the same length, so that what one loop writes is still in the caches of the
// core that the next loop reads it on. Shares are claimed piece by piece, and who has none left takes from
// the others': helpers that are asleep or descheduled never hold a loop up. Loops run over outputs: what a
// piece computes must not depend on where it begins, so results are the same for any number of threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace ergo {

class ThreadPool {
  public:
    /// `threads` in all, the caller of parallel_for included; at least 1. Pinned, every helper stays on a
    /// processor of its own as far as there are as many: one a core first, then the cores' other halves.
    explicit ThreadPool(int threads, bool pinned = false);
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int threads() const { return static_cast<int>(shares_.size()); }

    /// Keeps the calling thread on the processor that a pinned pool's helpers leave free, until it ends;
    /// where the pool is not pinned, nothing.
    class CallerPin {
      public:
        explicit CallerPin(const ThreadPool& pool);
        ~CallerPin();
        CallerPin(const CallerPin&) = delete;
        CallerPin& operator=(const CallerPin&) = delete;

      private:
        std::vector<int> before_; // where the thread could run; empty: it was not pinned
    };

    /// Calls body(begin, end, worker) over disjoint ranges that cover [0, count); every range but the last is
    /// a multiple of `grain` long. worker is 0 for the caller, below threads() for helpers, and no two
    /// concurrent calls of one loop share it. Returns when all are done and rethrows the first exception. Any
    /// thread may call; while another loop runs (or inside one) the caller does all the work itself.
    template <class Body> void parallel_for(std::int64_t count, std::int64_t grain, const Body& body) {
        static_assert(std::is_invocable_v<const Body&, std::int64_t, std::int64_t, int>);
        run({[](const void* context, std::int64_t begin, std::int64_t end, int worker) {
                 (*static_cast<const Body*>(context))(begin, end, worker);
             },
             &body, count, grain});
    }

    /// Physical cores this process may use; at least 1.
    static int physical_cores();

  private:
    struct Loop {
        void (*call)(const void* context, std::int64_t begin, std::int64_t end, int worker) = nullptr;
        const void* context = nullptr;
        std::int64_t count = 0;
        std::int64_t piece = 1; // indices of one
        std::int64_t pieces = 0;
    };

    void run(Loop loop);
    bool work(std::uint32_t loop_number, int worker);
    bool claim_from(int owner, std::uint32_t loop_number, int worker);
    void call(std::int64_t piece, int worker);
    std::int64_t first_piece(int owner) const;
    void help(int worker);

    // Of one worker. High half: number of the loop; low half: pieces of its share not yet claimed. A claim is
    // a compare-and-swap on the whole, so a late helper cannot take a piece of a loop it does not know.
    struct alignas(64) Share {
        std::atomic<std::uint64_t> ticket{0};
    };
    std::vector<Share> shares_;              // [threads]
    std::atomic<std::uint32_t> finished_{0}; // pieces done of the current loop
    std::atomic<std::uint32_t> wake_{0};     // helpers sleep on it
    std::atomic<bool> busy_{false}, stop_{false};
    Loop loop_; // written before the ticket is published, unchanged until all its pieces are done
    std::mutex error_mutex_;
    std::exception_ptr error_;
    std::vector<std::thread> helpers_;
    std::vector<int> processors_; // of each worker, the caller's first; empty: not pinned
};

} // namespace ergo
