// SPDX-License-Identifier: GPL-3.0-or-later
// Compiled kernels on disk: one file a device, driver and set of shaders. Whatever does not fit, in name or
// in content, is a miss and never an error. Any thread.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace ergo::vulkan {

/// `device_key` (DeviceTraits::cache_key) and a hash of all embedded kernels.
std::string pipeline_key(const std::string& device_key);

/// The file of `key` in `folder`.
std::filesystem::path pipeline_path(const std::filesystem::path& folder, const std::string& key);

/// What write_pipelines() stored for `key`; empty when there is no such file, it is of another key or
/// version, too long, cut short or damaged.
std::vector<std::byte> read_pipelines(const std::filesystem::path& folder, const std::string& key);

/// Replaces the file as a whole and makes the folder; false when that is not possible.
bool write_pipelines(const std::filesystem::path& folder, const std::string& key,
                     std::span<const std::byte> data) noexcept;

} // namespace ergo::vulkan
