// SPDX-License-Identifier: GPL-3.0-or-later
// The registry is a fixed table of atomics because a signal handler may neither lock nor allocate. A slot's
// `begin` is written last and cleared first, so the handler never sees half a range.
#include "engine/base/mapping_guard.h"

#include "engine/base/error.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <string>

namespace ergo {

namespace {

constexpr std::size_t max_mappings = 16384;

struct Slot {
    std::atomic<bool> taken = false, damaged = false;
    std::atomic<std::uintptr_t> begin = 0, end = 0; // begin 0: not in use
};

static_assert(std::atomic<std::uintptr_t>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

constinit std::array<Slot, max_mappings> slots{};
constinit std::atomic<std::size_t> used_slots = 0; // slots from here on have never been taken
constinit std::atomic<bool> installed = false;
struct sigaction previous {};

Slot* slot_at(std::uintptr_t address) {
    const std::size_t count = used_slots.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < count; ++i) {
        const std::uintptr_t begin = slots[i].begin.load(std::memory_order_acquire);
        if (begin && address >= begin && address < slots[i].end.load(std::memory_order_relaxed)) {
            return &slots[i];
        }
    }
    return nullptr;
}

/// Only system calls that are safe in a handler, and atomics.
void on_bus_error(int, siginfo_t* info, void*) {
    const int kept = errno;
    const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
    Slot* const slot = slot_at(address);
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const std::uintptr_t from = address / page * page;
    const bool zeroed = slot && ::mmap(reinterpret_cast<void*>(from), slot->end.load() - from, PROT_READ,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED;
    if (zeroed) {
        slot->damaged.store(true, std::memory_order_release);
    } else {
        ::sigaction(SIGBUS, &previous, nullptr); // the instruction runs again and gets what it got without us
    }
    errno = kept;
}

} // namespace

void install_mapping_guard() {
    if (installed.exchange(true)) {
        return;
    }
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(SIGBUS, &action, &previous);
}

void release_pages(std::span<const std::byte> bytes) {
    const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data()), end = begin + bytes.size();
    const Slot* const slot = bytes.empty() ? nullptr : slot_at(begin);
    if (!slot || end > slot->end.load()) {
        return; // memory of its own would be lost
    }
    const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
    const std::uintptr_t from = (begin + page - 1) / page * page, to = end / page * page;
    if (from < to) {
        ::madvise(reinterpret_cast<void*>(from), to - from, MADV_DONTNEED);
    }
}

GuardedMapping::GuardedMapping(std::span<const std::byte> bytes) : slot_(0) {
    for (; slot_ < max_mappings; ++slot_) {
        bool expected = false;
        if (!slots[slot_].taken.load(std::memory_order_relaxed) &&
            slots[slot_].taken.compare_exchange_strong(expected, true)) {
            break;
        }
    }
    if (slot_ == max_mappings) {
        throw Error(ErrorKind::resources,
                    "more than " + std::to_string(max_mappings) + " files are mapped at the same time.",
                    {.code = "F-TOO-LARGE", .advice = "Close some models."});
    }
    Slot& slot = slots[slot_];
    const auto begin = reinterpret_cast<std::uintptr_t>(bytes.data());
    slot.damaged = false;
    slot.end = begin + bytes.size();
    std::size_t count = used_slots.load();
    while (count <= slot_ && !used_slots.compare_exchange_weak(count, slot_ + 1)) {
    }
    slot.begin.store(begin, std::memory_order_release);
}

GuardedMapping::~GuardedMapping() {
    slots[slot_].begin = 0;
    slots[slot_].taken = false;
}

bool GuardedMapping::damaged() const {
    return slots[slot_].damaged.load(std::memory_order_acquire);
}

} // namespace ergo
