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

/// `architecture`: null when it is not known; names are then the file's own.
WeightFile weights_of(const GgufFile& part, const GgufArchitecture* architecture) {
    WeightFile weights;
    weights.file_name = part.file_name;
    weights.kind = FileKind::gguf;
    weights.metadata = for_people(part.metadata);
    weights.warnings = part.warnings;
    weights.entries.reserve(part.entries.size());
    for (const GgufEntry& entry : part.entries) {
        WeightEntry& made = weights.entries.emplace_back();
        made.name = architecture ? architecture->checkpoint_name(entry.name) : entry.name;
        made.stored_type = entry.stored_type;
        made.shape = entry.shape;
        made.bytes = entry.end - entry.begin;
        try {
            made.tensor = part.tensor(entry);
        } catch (const Error& unreadable) { // can be named, counted and shown
            weights.refusal = weights.refusal ? weights.refusal : unreadable;
        }
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
    std::optional<GgufArchitecture> architecture;
    std::optional<Error> refusal;
    try {
        architecture = GgufArchitecture::of(files.at(0).metadata);
    } catch (const Error& unknown) {
        refusal = unknown;
    }
    std::vector<WeightFile> weights;
    for (std::size_t i = 0; i < files.size(); ++i) {
        weights.push_back(weights_of(files[i], architecture ? &*architecture : nullptr));
        parts[i]->check_unchanged();
        weights.back().mappings.push_back(parts[i]);
    }
    if (architecture) {
        weights[0].side_files.emplace("config.json", architecture->config_json(files));
    } else {
        weights[0].refusal = refusal;
    }
    weights[0].typed_metadata = files[0].metadata;
    return weights;
}

} // namespace ergo
