// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/pipeline_file.h"

#include "engine/base/atomic_file.h"
#include "engine/base/embedded.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <fstream>

namespace ergo::vulkan {

namespace {

constexpr std::uint64_t most_bytes = std::uint64_t{256} << 20;

// FNV-1a: against damage, not against an enemy, who could as well replace the program.
std::uint64_t hash_of(std::span<const std::byte> bytes, std::uint64_t hash = 0xcbf29ce484222325u) {
    for (const std::byte byte : bytes) {
        hash = (hash ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3u;
    }
    return hash;
}

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
}

/// First bytes of a file; the key and the data follow.
struct FileHeader {
    std::array<char, 8> magic{'E', 'R', 'G', 'O', 'P', 'I', 'P', 'E'};
    std::uint32_t version = 1;
    std::uint32_t key_bytes = 0;
    std::uint64_t data_bytes = 0, data_hash = 0;
};

std::string hexadecimal(std::uint64_t number) {
    std::string text(16, '0');
    for (std::size_t i = 0; i < 16; ++i) {
        text[15 - i] = "0123456789abcdef"[number >> (4 * i) & 15u];
    }
    return text;
}

} // namespace

std::string pipeline_key(const std::string& device_key) {
    std::uint64_t hash = hash_of({});
    for (const EmbeddedFile& file : embedded_below("shaders/")) {
        hash = hash_of(std::as_bytes(std::span(file.path)), hash);
        hash = hash_of(file.bytes, hash);
    }
    return device_key + "-" + hexadecimal(hash);
}

std::filesystem::path pipeline_path(const std::filesystem::path& folder, const std::string& key) {
    return folder / (hexadecimal(hash_of(bytes_of(key))) + ".pipelines");
}

std::vector<std::byte> read_pipelines(const std::filesystem::path& folder, const std::string& key) {
    std::ifstream in(pipeline_path(folder, key), std::ios::binary);
    FileHeader header;
    if (!in.read(reinterpret_cast<char*>(&header), sizeof header)) {
        return {};
    }
    const FileHeader wanted;
    if (header.magic != wanted.magic || header.version != wanted.version || header.key_bytes != key.size() ||
        header.data_bytes > most_bytes) {
        return {};
    }
    std::string stored(key.size(), '\0');
    std::vector<std::byte> data(header.data_bytes);
    in.read(stored.data(), static_cast<std::streamsize>(stored.size()));
    in.read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(data.size()));
    const bool whole = in && in.peek() == std::ifstream::traits_type::eof();
    return whole && stored == key && hash_of(data) == header.data_hash ? data : std::vector<std::byte>{};
}

bool write_pipelines(const std::filesystem::path& folder, const std::string& key,
                     std::span<const std::byte> data) noexcept {
    try {
        std::filesystem::create_directories(folder);
        FileHeader header;
        header.key_bytes = static_cast<std::uint32_t>(key.size());
        header.data_bytes = data.size();
        header.data_hash = hash_of(data);
        AtomicFile file(pipeline_path(folder, key));
        file.write(std::as_bytes(std::span(&header, 1)));
        file.write(key);
        file.write(data);
        file.commit();
        return true;
    } catch (const std::exception&) {
        return false; // the next run compiles again
    }
}

} // namespace ergo::vulkan
