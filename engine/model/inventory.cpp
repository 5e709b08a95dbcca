// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/inventory.h"

#include <algorithm>
#include <map>

namespace ergo {

void count_parameters(ModelInfo& info, const std::vector<SchemaTensor>& claimed) {
    for (const SchemaTensor& tensor : claimed) {
        const std::int64_t count = element_count(tensor.shape);
        info.parameters += count;
        auto line = std::find_if(info.components.begin(), info.components.end(),
                                 [&](const auto& each) { return each.first == tensor.component; });
        if (line == info.components.end()) {
            line = info.components.insert(line, {tensor.component, 0});
        }
        line->second += count;
    }
}

std::string stored_types(const Checkpoint& checkpoint, const std::vector<SchemaTensor>& claimed) {
    std::map<std::string, std::size_t> bytes;
    for (const SchemaTensor& tensor : claimed) {
        if (const auto found = checkpoint.tensors().find(tensor.name); found != checkpoint.tensors().end()) {
            bytes[std::string(dtype_name(found->second.dtype()))] += found->second.bytes().size();
        }
    }
    std::vector<std::pair<std::size_t, std::string>> sorted;
    for (const auto& [name, size] : bytes) {
        sorted.emplace_back(size, name);
    }
    std::sort(sorted.rbegin(), sorted.rend());
    std::string out;
    for (const auto& [size, name] : sorted) {
        out += (out.empty() ? "" : ", ") + name;
    }
    return out;
}

std::vector<MemoryItem> memory_items(const Tables& tables, const Plan& plan, std::int64_t positions) {
    std::uint64_t weights = 0, row = 0, scratch = 0;
    for (const WeightInfo& weight : tables.weights) {
        weights += weight.tensor.byte_size();
    }
    for (const StateInfo& state : tables.states) {
        row += static_cast<std::uint64_t>(state.width) * sizeof(float);
    }
    for (const BufferInfo& buffer : plan.buffers) {
        const std::int64_t rows = buffer.extent == BufferInfo::Extent::last_row ? 1 : plan.max_rows;
        const std::int64_t depth = buffer.extent == BufferInfo::Extent::rows_keys ? positions : 1;
        scratch += static_cast<std::uint64_t>(rows * depth * buffer.width) * sizeof(float);
    }
    return {{"weights", weights},
            {"cache", row * static_cast<std::uint64_t>(std::max<std::int64_t>(0, positions))},
            {"scratch", scratch}};
}

} // namespace ergo
