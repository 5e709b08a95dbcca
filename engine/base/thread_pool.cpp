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

} // namespace

ThreadPool::ThreadPool(int threads) {
    for (int worker = 1; worker < threads; ++worker) {
        helpers_.emplace_back([this, worker] { help(worker); });
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
    const auto pieces = static_cast<std::uint32_t>((loop.count + loop.piece - 1) / loop.piece);
    loop_ = loop;
    error_ = nullptr;
    finished_.store(0, std::memory_order_relaxed);
    const std::uint32_t number = loop_number(ticket_.load(std::memory_order_relaxed)) + 1;
    ticket_.store(std::uint64_t{number} << 32 | pieces);
    wake_.fetch_add(1);
    wake_.notify_all();
    work(number, 0);
    for (int spins = 0; finished_.load(std::memory_order_acquire) != pieces; ++spins) {
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

// Claims and runs pieces of the loop until none is left; false when there was none.
bool ThreadPool::work(std::uint32_t number, int worker) {
    bool any = false;
    std::uint64_t ticket = ticket_.load(std::memory_order_acquire);
    while (loop_number(ticket) == number && unclaimed(ticket) > 0) {
        if (!ticket_.compare_exchange_weak(ticket, ticket - 1, std::memory_order_acq_rel)) {
            continue;
        }
        any = true;
        const std::int64_t last = (loop_.count + loop_.piece - 1) / loop_.piece;
        const std::int64_t begin = (last - unclaimed(ticket)) * loop_.piece;
        try {
            loop_.call(loop_.context, begin, std::min(begin + loop_.piece, loop_.count), worker);
        } catch (...) {
            const std::lock_guard lock(error_mutex_);
            if (!error_) {
                error_ = std::current_exception();
            }
        }
        finished_.fetch_add(1, std::memory_order_acq_rel);
        ticket = ticket_.load(std::memory_order_acquire);
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
        if (work(loop_number(ticket_.load()), worker)) {
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
#if defined(__linux__)
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        std::set<std::pair<std::string, std::string>> cores; // (package, core)
        for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (CPU_ISSET(cpu, &allowed)) {
                const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/";
                const std::string core = first_line(folder + "core_id");
                cores.emplace(first_line(folder + "physical_package_id"),
                              core.empty() ? "cpu" + std::to_string(cpu) : core);
            }
        }
        if (!cores.empty()) {
            return static_cast<int>(cores.size());
        }
    }
#endif
    return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

} // namespace ergo
