// SPDX-License-Identifier: GPL-3.0-or-later
// The outline of a zstd file: its frames, read off their headers and block headers before anything is
// decompressed. Internal to this floor. Source: RFC 8878 §3.1. A value, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace ergo {

struct ZstdOutline {
    std::uint64_t frames = 0;                 ///< with data, skippable ones not counted
    std::optional<std::uint64_t> content = 0; ///< bytes of all frames; nullopt when one does not say
};

/// Throws Error with Z-WINDOW, Z-DICT, Z-CORRUPT, F-TRUNCATED, F-TRAILING.
ZstdOutline read_zstd_outline(std::span<const std::byte> bytes, const std::string& file_name);

} // namespace ergo
