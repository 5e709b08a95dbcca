// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/gguf_weights.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/checkpoint/gguf.h"
#include "engine/checkpoint/gguf_architecture.h"

namespace ergo {

namespace {

constexpr std::size_t longest_shown = 4096; // bytes of a text among the metadata for people

std::map<std::string, std::string> for_people(const TypedMetadata& metadata) {
    std::map<std::string, std::string> shown;
    for (const auto& [key, value] : metadata.values()) {
        const auto* text = std::get_if<std::string_view>(&value);
        if (!text || text->size() <= longest_shown) {
            shown.emplace(key, replace_invalid_utf8(to_string(value)));
        }
    }
    return shown;
}

WeightFile weights_of(const GgufFile& part, const GgufArchitecture& architecture) {
    WeightFile weights;
    weights.file_name = part.file_name;
    weights.kind = FileKind::gguf;
    weights.metadata = for_people(part.metadata);
    weights.warnings = part.warnings;
    weights.entries.reserve(part.entries.size());
    for (const GgufEntry& entry : part.entries) {
        weights.entries.push_back({architecture.checkpoint_name(entry.name), std::string(entry.stored_type),
                                   entry.shape, entry.end - entry.begin, part.tensor(entry)});
    }
    return weights;
}

} // namespace

std::vector<WeightFile> gguf_weights(const std::vector<std::shared_ptr<const MappedFile>>& parts) {
    std::vector<GgufFile> files;
    for (const auto& part : parts) {
        files.push_back(read_gguf(part));
    }
    check_gguf_parts(files);
    const GgufArchitecture architecture = GgufArchitecture::of(files.at(0).metadata);
    std::vector<WeightFile> weights;
    for (std::size_t i = 0; i < files.size(); ++i) {
        weights.push_back(weights_of(files[i], architecture));
        parts[i]->check_unchanged();
        weights.back().mappings.push_back(parts[i]);
    }
    weights[0].side_files.emplace("config.json", architecture.config_json(files));
    weights[0].typed_metadata = files[0].metadata;
    return weights;
}

} // namespace ergo
