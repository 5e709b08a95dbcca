// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/base/keyed_file.h"

#include "engine/base/atomic_file.h"

#include <array>
#include <cctype>
#include <fstream>

namespace ergo {

namespace {

constexpr std::uint64_t most_bytes = std::uint64_t{256} << 20;

/// First bytes of a file; the key and the data follow.
struct FileHeader {
    std::array<char, 8> magic{'E', 'R', 'G', 'O', ' ', ' ', ' ', ' '};
    std::uint32_t version = 1;
    std::uint32_t key_bytes = 0;
    std::uint64_t data_bytes = 0, data_hash = 0;

    explicit FileHeader(const std::string& kind) {
        for (std::size_t i = 0; i < 4 && i < kind.size(); ++i) {
            magic[4 + i] = static_cast<char>(std::toupper(static_cast<unsigned char>(kind[i])));
        }
    }
};

} // namespace

std::uint64_t damage_hash(std::span<const std::byte> bytes, std::uint64_t hash) {
    for (const std::byte byte : bytes) {
        hash = (hash ^ static_cast<std::uint64_t>(byte)) * 0x100000001b3u;
    }
    return hash;
}

std::string hexadecimal(std::uint64_t number) {
    std::string text(16, '0');
    for (std::size_t i = 0; i < 16; ++i) {
        text[15 - i] = "0123456789abcdef"[number >> (4 * i) & 15u];
    }
    return text;
}

std::filesystem::path keyed_path(const std::filesystem::path& folder, const std::string& key,
                                 const std::string& kind) {
    return folder / (hexadecimal(damage_hash(std::as_bytes(std::span(key)))) + "." + kind);
}

std::vector<std::byte> read_keyed(const std::filesystem::path& folder, const std::string& key,
                                  const std::string& kind) {
    std::ifstream in(keyed_path(folder, key, kind), std::ios::binary);
    FileHeader header(kind);
    if (!in.read(reinterpret_cast<char*>(&header), sizeof header)) {
        return {};
    }
    const FileHeader wanted(kind);
    if (header.magic != wanted.magic || header.version != wanted.version || header.key_bytes != key.size() ||
        header.data_bytes > most_bytes) {
        return {};
    }
    std::string stored(key.size(), '\0');
    std::vector<std::byte> data(header.data_bytes);
    in.read(stored.data(), static_cast<std::streamsize>(stored.size()));
    in.read(reinterpret_cast<char*>(data.data()), static_cast<std::streamsize>(data.size()));
    const bool whole = in && in.peek() == std::ifstream::traits_type::eof();
    return whole && stored == key && damage_hash(data) == header.data_hash ? data : std::vector<std::byte>{};
}

bool write_keyed(const std::filesystem::path& folder, const std::string& key, const std::string& kind,
                 std::span<const std::byte> data) noexcept {
    try {
        std::filesystem::create_directories(folder);
        FileHeader header(kind);
        header.key_bytes = static_cast<std::uint32_t>(key.size());
        header.data_bytes = data.size();
        header.data_hash = damage_hash(data);
        AtomicFile file(keyed_path(folder, key, kind));
        file.write(std::as_bytes(std::span(&header, 1)));
        file.write(key);
        file.write(data);
        file.commit();
        return true;
    } catch (const std::exception&) {
        return false; // the next run makes it again
    }
}

} // namespace ergo
