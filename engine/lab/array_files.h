// SPDX-License-Identifier: GPL-3.0-or-later
// Named arrays in the file format that the extension says. Free functions, any thread.
#pragma once

#include "engine/tensor/npy.h"

namespace ergo {

/// .npz or .safetensors; Error(usage) for another extension, Error(io) when it cannot be written whole.
void write_arrays(const std::filesystem::path& path,
                  const std::vector<std::pair<std::string, NpyArray>>& arrays);

} // namespace ergo
