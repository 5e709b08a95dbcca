// SPDX-License-Identifier: GPL-3.0-or-later
// Files written by PyTorch's save function since version 1.6: a zip archive with a pickle and the bytes of
// its tensors. Read as data only; there is no way to make it run what a file says. Free functions and values,
// any thread.
#pragma once

#include "engine/checkpoint/mapped_file.h"
#include "engine/checkpoint/torch_value.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace ergo {

struct TorchFile {
    std::string file_name;
    TorchValue root;
    std::vector<std::string> warnings; ///< sentences
};

/// Tensors are views of the mapping where they are contiguous and little-endian, else gathered into memory of
/// their own, within 1.25 times the file's size and 64 MiB for everything. Throws Error with the codes of
/// read_zip and read_pickle and with PT-LAYOUT (not a checkpoint), PT-TORCHSCRIPT, PT-BYTEORDER, PT-GLOBAL (a
/// symbol outside the table), PT-OBJECT, PT-PERSID, PT-STORAGE, PT-TENSOR, PT-UNSUPPORTED-TENSOR,
/// F-TOO-LARGE; PT-LEGACY and PT-TAR for the forms of old versions; F-… for files that are something else.
TorchFile read_torch_file(std::shared_ptr<const MappedFile> file);
/// The same over bytes that `owner` keeps alive (nullptr for static storage).
TorchFile read_torch_file(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                          std::string file_name);

} // namespace ergo
