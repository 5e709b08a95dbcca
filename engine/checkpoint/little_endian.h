// SPDX-License-Identifier: GPL-3.0-or-later
// Unaligned little-endian integers out of a file's bytes. Internal to this floor. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace ergo {

/// The caller has checked that `at + sizeof(Integer)` lies inside.
template <class Integer> Integer little_endian(std::span<const std::byte> bytes, std::uint64_t at) {
    std::uint64_t value = 0;
    for (std::size_t i = sizeof(Integer); i-- > 0;) {
        value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + i]);
    }
    return static_cast<Integer>(value);
}

} // namespace ergo
