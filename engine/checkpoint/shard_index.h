// SPDX-License-Identifier: GPL-3.0-or-later
// The index of a model in several files (*.safetensors.index.json). Internal to this floor. A value, any
// thread.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace ergo {

struct ShardIndex {
    std::string file_name;
    std::vector<std::string> shards;        ///< bare file names, sorted
    std::map<std::string, std::size_t> map; ///< tensor to its index in `shards`
    std::optional<std::uint64_t> total_size;
};

/// Throws Error(format) with F-JSON, SI-MAP (empty or not texts) or SI-PATH (a shard that is not a bare
/// name).
ShardIndex read_shard_index(const std::filesystem::path& path);

} // namespace ergo
