// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/pipeline_file.h"

#include "engine/base/embedded.h"
#include "engine/base/keyed_file.h"

namespace ergo::vulkan {

namespace {
constexpr const char* kind = "pipelines";
} // namespace

std::string pipeline_key(const std::string& device_key) {
    std::uint64_t hash = damage_hash({});
    for (const EmbeddedFile& file : embedded_below("shaders/")) {
        hash = damage_hash(std::as_bytes(std::span(file.path)), hash);
        hash = damage_hash(file.bytes, hash);
    }
    return device_key + "-" + hexadecimal(hash);
}

std::filesystem::path pipeline_path(const std::filesystem::path& folder, const std::string& key) {
    return keyed_path(folder, key, kind);
}

std::vector<std::byte> read_pipelines(const std::filesystem::path& folder, const std::string& key) {
    return read_keyed(folder, key, kind);
}

bool write_pipelines(const std::filesystem::path& folder, const std::string& key,
                     std::span<const std::byte> data) noexcept {
    return write_keyed(folder, key, kind, data);
}

} // namespace ergo::vulkan
