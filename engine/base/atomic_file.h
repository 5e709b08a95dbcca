// SPDX-License-Identifier: GPL-3.0-or-later
// Writing a file so that it either appears whole or not at all: the bytes go to a temporary beside the
// target, which is renamed over it at the end. One owner, one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace ergo {

class AtomicFile {
  public:
    /// Creates the temporary. Throws Error(io, F-IO) with the system's message.
    explicit AtomicFile(std::filesystem::path target);
    /// Removes the temporary unless `commit` has succeeded.
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    /// Appends all of `bytes`. Throws Error(io, F-IO), on a full disk for example.
    void write(std::span<const std::byte> bytes);
    void write(std::string_view text);
    /// Bytes appended so far.
    std::uint64_t size() const { return size_; }
    /// Flushes to the disk and renames over the target. Throws Error(io, F-IO); the target is then as it was.
    void commit();

  private:
    [[noreturn]] void fail(const std::string& what, int error_number) const;

    std::filesystem::path target_;
    std::string temporary_; // empty once renamed
    int descriptor_ = -1;
    std::uint64_t size_ = 0;
};

} // namespace ergo
