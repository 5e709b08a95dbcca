// SPDX-License-Identifier: GPL-3.0-or-later
// A checkpoint written again in another type, as a folder with one safetensors file and the small
// files that belong to the model. Free functions, any thread.
#pragma once

#include "engine/base/cancel.h"
#include "engine/checkpoint/checkpoint.h"

#include <filesystem>
#include <map>
#include <string>

namespace ergo {

/// Writes `checkpoint` to the folder `out`, which is absent or empty. `dtype`: f32, bf16 or f16 for every
/// weight matrix (two dimensions, named *.weight), or q8 or q4 for those that may be whole numbers
/// (model/weight_types.h), as running with that type does; vectors, tables and parameters keep theirs.
/// `metadata` joins the file's own. Everything goes to a folder beside `out` first, which is renamed at the
/// end and removed if anything fails; one piece of a tensor is in memory at a time. Throws Error: `usage` for
/// another dtype, an `out` that holds something or lies within the source; `unsupported` for tensors that can
/// only be inspected; `io`; `cancelled`.
void convert(const Checkpoint& checkpoint, const std::filesystem::path& out, const std::string& dtype,
             const Progress& progress = {}, const CancelToken& cancel = {},
             const std::map<std::string, std::string>& metadata = {});

} // namespace ergo
