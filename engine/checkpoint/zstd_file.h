// SPDX-License-Identifier: GPL-3.0-or-later
// zstd-compressed weight files (.pt.zst): decompressed whole into a temporary file without a name, because
// their inner formats keep a directory at the end. Free functions, any thread.
#pragma once

#include "engine/base/cancel.h"
#include "engine/checkpoint/mapped_file.h"

#include <memory>

namespace ergo {

/// The content, mapped from a temporary file of this process alone (in $TMPDIR, else /var/tmp or /tmp) that
/// has no name and vanishes with the mapping; its shown name is `file`'s without ".zst". Several frames and
/// skippable ones are accepted. The content may have the size that the frames declare, or, where one does
/// not, at most 400 times the input and what leaves 1 GiB free on the disk. Throws Error with Z-WINDOW (more
/// than 128 MiB), Z-DICT, Z-CHECKSUM, Z-CORRUPT, Z-BOMB, F-TRUNCATED, F-TRAILING, F-TOO-LARGE (no room),
/// F-UNSUPPORTED (compressed twice), F-IO, and Error(cancelled).
std::shared_ptr<const MappedFile> decompress_zstd(const MappedFile& file, const Progress& progress,
                                                  const CancelToken& cancel);

} // namespace ergo
