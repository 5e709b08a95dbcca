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

} // namespace ergo
