// SPDX-License-Identifier: GPL-3.0-or-later
// SHA-256 of weight files, and a memory of those that were computed: a file of the same path, size and time
// of change is not read again. Free functions and values; any thread, but one DigestCache belongs to one.
#pragma once

#include "engine/base/cancel.h"
#include "engine/checkpoint/checkpoint.h"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>

namespace ergo {

/// Lower-case hexadecimal digits. Throws Error(io), Error(cancelled); Error(io) too when the file changes
/// while it is read.
std::string sha256_of_file(const std::filesystem::path& path, const Progress& progress,
                           const CancelToken& cancel);
std::string sha256_of(std::span<const std::byte> bytes);

class DigestCache {
  public:
    /// A damaged or unreadable `file` counts as empty.
    explicit DigestCache(std::filesystem::path file) : file_(std::move(file)) {}
    /// $XDG_CACHE_HOME/ergosphere/sha256.json, else ~/.cache/…; empty where there is no home.
    static std::filesystem::path default_file();

    std::optional<std::string> find(const std::filesystem::path& path) const;
    /// A cache that cannot be written is no error: the digest is computed again next time.
    void remember(const std::filesystem::path& path, const std::string& digest) const;
    /// Remembered, else computed and remembered.
    std::string digest(const std::filesystem::path& path, const Progress& progress,
                       const CancelToken& cancel) const;

  private:
    std::filesystem::path file_;
};

/// One file the weights come from.
struct FileOnDisk {
    std::string name;           ///< safe to show
    std::filesystem::path path; ///< empty: compiled into the program
    std::uint64_t bytes = 0;
};

/// The weight files of a checkpoint, in order, with their sizes on disk.
std::vector<FileOnDisk> weight_files(const Checkpoint& checkpoint);

/// Of one of them, from the cache where it can be.
std::string digest_of(const Checkpoint& checkpoint, const FileOnDisk& file, const DigestCache& cache,
                      const Progress& progress, const CancelToken& cancel);

} // namespace ergo
