// SPDX-License-Identifier: GPL-3.0-or-later
// A file mapped read-only into memory. Immutable after creation, shared by every tensor that views it; any
// thread.
#pragma once

#include "engine/base/mapping_guard.h"

#include <time.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace ergo {

class MappedFile {
  public:
    ~MappedFile();
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    std::span<const std::byte> bytes() const { return bytes_; }
    std::uint64_t size() const { return bytes_.size(); }
    const std::filesystem::path& path() const { return path_; }
    /// File name without its folder, safe to show.
    std::string name() const;
    /// Throws Error(io, F-IO) when the file was shortened or written to since it was opened, or as
    /// check_undamaged.
    void check_unchanged() const;
    /// Throws Error(io, F-IO) when bytes were missing while somebody read them (mapping_guard.h). Ask after
    /// reading: what was read may be zeros.
    void check_undamaged() const;

  private:
    friend std::shared_ptr<const MappedFile> map_descriptor(int descriptor,
                                                            const std::filesystem::path& path);
    MappedFile(std::filesystem::path path, int descriptor, std::span<const std::byte> bytes,
               timespec modified);

    std::filesystem::path path_;
    int descriptor_;
    std::span<const std::byte> bytes_;
    timespec modified_;                   // when it was mapped
    std::optional<GuardedMapping> guard_; // ended before the mapping
};

/// Maps `path` (a regular file; links are followed). Throws Error(format, F-EMPTY) for size 0 and
/// Error(io, F-IO) for a folder, a missing or unreadable file.
std::shared_ptr<const MappedFile> map_file(const std::filesystem::path& path);

/// Maps an open regular file; takes the descriptor, also when it throws. `path` is for messages. Throws as
/// map_file.
std::shared_ptr<const MappedFile> map_descriptor(int descriptor, const std::filesystem::path& path);

/// The whole text of a small file. Throws Error(io, F-IO), or Error(resources, F-TOO-LARGE) beyond `limit`
/// bytes.
std::string read_text_file(const std::filesystem::path& path, std::uint64_t limit);

} // namespace ergo
