// SPDX-License-Identifier: GPL-3.0-or-later
// Bytes that are kept between runs because they take long to make: one file a key in a folder. Whatever does
// not fit, in name or in content, is a miss and never an error. Any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace ergo {

/// FNV-1a: against damage, not against an enemy. `hash`: of what stands before.
std::uint64_t damage_hash(std::span<const std::byte> bytes, std::uint64_t hash = 0xcbf29ce484222325u);
/// 16 digits.
std::string hexadecimal(std::uint64_t number);

/// The file of `key` in `folder`; `kind` is its extension: "pipelines".
std::filesystem::path keyed_path(const std::filesystem::path& folder, const std::string& key,
                                 const std::string& kind);

/// What write_keyed() stored for `key`; empty when there is no such file, it is of another key, kind or
/// version, too long, cut short or damaged.
std::vector<std::byte> read_keyed(const std::filesystem::path& folder, const std::string& key,
                                  const std::string& kind);

/// Replaces the file as a whole and makes the folder; false when that is not possible.
bool write_keyed(const std::filesystem::path& folder, const std::string& key, const std::string& kind,
                 std::span<const std::byte> data) noexcept;

} // namespace ergo
