// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/thread_pool.h"

#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <utility>

#if defined(__linux__)
#include <sched.h>
#endif

namespace ergo {

namespace {

constexpr std::int64_t pieces_per_thread = 4; // evens out threads of unequal speed
constexpr int spins_before_sleep =
    4000; // tens of microseconds: longer than the gap between two loops of a step
constexpr int spins_before_yield = 2000;

void relax() {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("yield");
#endif
}

std::uint32_t loop_number(std::uint64_t ticket) {
    return static_cast<std::uint32_t>(ticket >> 32);
}
std::uint32_t unclaimed(std::uint64_t ticket) {
    return static_cast<std::uint32_t>(ticket);
}

std::string first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

/// Processors that this thread may run on; empty where the system does not say.
std::vector<int> allowed_processors() {
    std::vector<int> processors;
#if defined(__linux__)
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (CPU_ISSET(cpu, &allowed)) {
                processors.push_back(cpu);
            }
        }
    }
#endif
    return processors;
}

/// A processor the system refuses (it went offline) leaves the thread where it may run now.
void keep_on([[maybe_unused]] const std::vector<int>& processors) {
#if defined(__linux__)
    cpu_set_t wanted;
    CPU_ZERO(&wanted);
    for (const int cpu : processors) {
        CPU_SET(cpu, &wanted);
    }
    sched_setaffinity(0, sizeof wanted, &wanted);
#endif
}

using Core = std::pair<std::string, std::string>; // (package, core)

Core core_of(int cpu) {
    const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
    const std::string core = first_line(folder + "core_id");
    return {first_line(folder + "physical_package_id"), core.empty() ? "cpu" + std::to_string(cpu) : core};
}

/// The allowed processors, one of every core first.
std::vector<int> spread_over_cores() {
    std::vector<int> first, rest;
    std::set<Core> cores;
    for (const int cpu : allowed_processors()) {
        (cores.insert(core_of(cpu)).second ? first : rest).push_back(cpu);
    }
    first.insert(first.end(), rest.begin(), rest.end());
    return first;
}

} // namespace

ThreadPool::ThreadPool(int threads, bool pinned) : shares_(static_cast<std::size_t>(std::max(threads, 1))) {
    const std::vector<int> processors = pinned ? spread_over_cores() : std::vector<int>();
    for (int worker = 0; worker < threads && !processors.empty(); ++worker) {
        processors_.push_back(processors[static_cast<std::size_t>(worker) % processors.size()]);
    }
    for (int worker = 1; worker < threads; ++worker) {
        helpers_.emplace_back([this, worker] {
            if (!processors_.empty()) {
                keep_on({processors_[static_cast<std::size_t>(worker)]});
            }
            help(worker);
        });
    }
}

ThreadPool::CallerPin::CallerPin(const ThreadPool& pool) {
    if (!pool.processors_.empty()) {
        before_ = allowed_processors();
        keep_on({pool.processors_.front()});
    }
}

ThreadPool::CallerPin::~CallerPin() {
    if (!before_.empty()) {
        keep_on(before_);
    }
}

ThreadPool::~ThreadPool() {
    stop_.store(true);
    wake_.fetch_add(1);
    wake_.notify_all();
    for (std::thread& helper : helpers_) {
        helper.join();
    }
}

void ThreadPool::run(Loop loop) {
    if (loop.count <= 0) {
        return;
    }
    const std::int64_t grain = std::max<std::int64_t>(loop.piece, 1);
    const std::int64_t wanted = pieces_per_thread * threads();
    const std::int64_t even = (loop.count + wanted - 1) / wanted;
    loop.piece = (even + grain - 1) / grain * grain;
    if (loop.piece >= loop.count || helpers_.empty() || busy_.exchange(true, std::memory_order_acquire)) {
        loop.call(loop.context, 0, loop.count, 0);
        return;
    }
    loop.pieces = (loop.count + loop.piece - 1) / loop.piece;
    loop_ = loop;
    error_ = nullptr;
    finished_.store(0, std::memory_order_relaxed);
    const std::uint32_t number = loop_number(shares_[0].ticket.load(std::memory_order_relaxed)) + 1;
    for (int owner = 0; owner < threads(); ++owner) {
        const auto pieces = static_cast<std::uint32_t>(first_piece(owner + 1) - first_piece(owner));
        shares_[static_cast<std::size_t>(owner)].ticket.store(std::uint64_t{number} << 32 | pieces);
    }
    wake_.fetch_add(1);
    wake_.notify_all();
    work(number, 0);
    for (int spins = 0; finished_.load(std::memory_order_acquire) != loop.pieces; ++spins) {
        if (spins < spins_before_yield) {
            relax();
        } else {
            std::this_thread::yield();
        }
    }
    const std::exception_ptr error = std::exchange(error_, nullptr);
    busy_.store(false, std::memory_order_release);
    if (error) {
        std::rethrow_exception(error);
    }
}

std::int64_t ThreadPool::first_piece(int owner) const {
    return loop_.pieces * owner / threads();
}

void ThreadPool::call(std::int64_t piece, int worker) {
    const std::int64_t begin = piece * loop_.piece;
    try {
        loop_.call(loop_.context, begin, std::min(begin + loop_.piece, loop_.count), worker);
    } catch (...) {
        const std::lock_guard lock(error_mutex_);
        if (!error_) {
            error_ = std::current_exception();
        }
    }
    finished_.fetch_add(1, std::memory_order_acq_rel);
}

// Claims and runs pieces of one share until none is left; false when there was none.
bool ThreadPool::claim_from(int owner, std::uint32_t number, int worker) {
    bool any = false;
    std::atomic<std::uint64_t>& share = shares_[static_cast<std::size_t>(owner)].ticket;
    std::uint64_t ticket = share.load(std::memory_order_acquire);
    while (loop_number(ticket) == number && unclaimed(ticket) > 0) {
        if (share.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel)) {
            any = true;
            call(first_piece(owner + 1) - unclaimed(ticket), worker);
            ticket = share.load(std::memory_order_acquire);
        }
    }
    return any;
}

// A worker's own share, then what is left of the others'; false when there was nothing.
bool ThreadPool::work(std::uint32_t number, int worker) {
    bool any = false;
    for (int i = 0; i < threads(); ++i) {
        any |= claim_from((worker + i) % threads(), number, worker);
    }
    return any;
}

void ThreadPool::help(int worker) {
    int idle = 0;
    while (true) {
        const std::uint32_t seen = wake_.load();
        if (stop_.load()) {
            return;
        }
        if (work(loop_number(shares_[static_cast<std::size_t>(worker)].ticket.load()), worker)) {
            idle = 0;
        } else if (++idle < spins_before_sleep) {
            relax();
        } else {
            wake_.wait(seen); // returns at once if a loop was published after `seen` was read
            idle = 0;
        }
    }
}

int ThreadPool::physical_cores() {
    std::set<Core> cores;
    for (const int cpu : allowed_processors()) {
        cores.insert(core_of(cpu));
    }
    if (!cores.empty()) {
        return static_cast<int>(cores.size());
    }
    return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

} // namespace ergo
