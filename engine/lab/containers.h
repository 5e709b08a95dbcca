// SPDX-License-Identifier: GPL-3.0-or-later
// A checkpoint's weights written in any of the containers that models are published in: to try on this
// machine what a published file will take. Free functions, any thread.
#pragma once

#include "engine/base/cancel.h"
#include "engine/checkpoint/checkpoint.h"

#include <filesystem>
#include <string>
#include <vector>

namespace ergo {

/// Names of containers: "safetensors", "pt", "bin" (the same under the name of a model library), "pt.zst",
/// "gguf".
std::vector<std::string> container_names();

struct ContainerRequest {
    std::string container = "safetensors";
    int shards = 1; ///< safetensors alone
    /// Of the matrices in GGUF (vectors are f32 there): f32, f16, bf16, q8_0, q4_0, q4_k, q5_k, q6_k, or
    /// q4_k_m: q4_k with some in q6_k, as files of that name mix them; empty: as they are.
    std::string dtype;
};

/// Writes the weights (and an index of shards) into `folder`, which is there. One tensor is in memory at a
/// time. Throws Error: `usage` for an unknown container or one that cannot hold this, `unsupported` (F-ARCH)
/// for a model that has no form in GGUF, `io`, `cancelled`.
void write_container(const Checkpoint& checkpoint, const std::filesystem::path& folder,
                     const ContainerRequest& request, const Progress& progress = {},
                     const CancelToken& cancel = {});

} // namespace ergo
