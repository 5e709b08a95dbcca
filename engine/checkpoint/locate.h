// SPDX-License-Identifier: GPL-3.0-or-later
// Which weight files a person means by a path. Internal to this floor. Reads names, not contents; any thread.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace ergo {

struct WeightSet {
    std::filesystem::path folder; ///< of the weights and the small files beside them
    std::filesystem::path index;  ///< *.safetensors.index.json or *.bin.index.json, empty when there is none
    std::vector<std::filesystem::path> files; ///< without an index: the weight files in order
    std::vector<std::string> missing; ///< shards that are absent (only for one shard opened by itself)
    std::string display_name;
};

/// A folder is searched itself, then two levels below, for the first of these that is there: safetensors,
/// GGUF, PyTorch .bin, other PyTorch files (.pt, .pth, .ckpt) and compressed ones (.zst); of each an index,
/// the usual name (model.safetensors, pytorch_model.bin), a single file, a complete set of shards. Files that
/// stand beside weights (gravity_mass_log.pt, optimizer.pt …) count only when opened by name. Links inside a
/// folder are not followed out of it. config.json and the other small files of a model mean its folder.
/// Throws Error(io, F-IO), Error(format, F-AMBIGUOUS) naming the candidates, Error(unsupported,
/// F-UNSUPPORTED) when there are only weights of another format, Error(format, F-UNKNOWN) when there are
/// none.
WeightSet locate_weights(const std::filesystem::path& model);

/// Does `path`, links followed, lie in `root` (canonical) or below it?
bool is_inside(const std::filesystem::path& path, const std::filesystem::path& root);

} // namespace ergo
