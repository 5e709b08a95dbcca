// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/mapped_pages.h"

#include <atomic>

namespace ergo {

namespace {
constinit std::atomic<void (*)(std::span<const std::byte>)> how = nullptr;
} // namespace

void release_pages(std::span<const std::byte> bytes) {
    if (const auto release = how.load(std::memory_order_acquire)) {
        release(bytes);
    }
}

void set_page_release(void (*release)(std::span<const std::byte> bytes)) {
    how.store(release, std::memory_order_release);
}

} // namespace ergo
