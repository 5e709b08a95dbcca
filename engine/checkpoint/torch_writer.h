// SPDX-License-Identifier: GPL-3.0-or-later
// Writes the kind of file that PyTorch's save function writes for a mapping of names to tensors: a
// stored zip with a pickle and one record a tensor. A free function, any thread. Source: file formats
// specification §4.
#pragma once

#include "engine/tensor/tensor.h"

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace ergo {

/// Through a temporary beside `path`. Throws Error(io) on a write error, Error(usage) for a tensor that is
/// not f32, f16 or bf16, a name that is not UTF-8 or 4 GiB and more in all.
void write_torch_file(const std::filesystem::path& path,
                      const std::vector<std::pair<std::string, Tensor>>& tensors);

} // namespace ergo
