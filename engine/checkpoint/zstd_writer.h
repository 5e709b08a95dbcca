// SPDX-License-Identifier: GPL-3.0-or-later
// Compresses a file with zstd, as published checkpoints are ("model.pt.zst"). A free function, any thread.
#pragma once

#include "engine/base/cancel.h"
#include "engine/checkpoint/mapped_file.h"

#include <filesystem>

namespace ergo {

/// One frame with its size and a checksum, at zstd's usual level, through a temporary beside `path`. Throws
/// Error(io), Error(cancelled).
void compress_zstd(const MappedFile& file, const std::filesystem::path& path, const Progress& progress,
                   const CancelToken& cancel);

} // namespace ergo
