// SPDX-License-Identifier: GPL-3.0-or-later
// Telling file formats apart by their content: an extension proves nothing. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace ergo {

/// What a file's first bytes say it is. `unknown` is also given for a damaged safetensors file.
enum class FileKind {
    safetensors,
    gguf,
    zip,
    zstd,
    legacy_checkpoint,
    pickle,
    tar,
    lfs_pointer,
    web_page,
    gzip,
    seven_zip,
    hdf5,
    zeros,
    unknown,
};
FileKind sniff(std::span<const std::byte> bytes);
/// Throws the error that says what the file is when `kind` is not `wanted`: F-EMPTY, F-LFS-POINTER,
/// F-WEBPAGE, F-UNSUPPORTED by name, or F-UNKNOWN with the first 16 bytes in hex.
void require_kind(FileKind wanted, FileKind kind, std::span<const std::byte> bytes,
                  const std::string& file_name);
/// The same for a file that nothing here reads.
[[noreturn]] void refuse_kind(FileKind kind, std::span<const std::byte> bytes, const std::string& file_name);

} // namespace ergo
