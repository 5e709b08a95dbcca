// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/weight_file.h"

#include "engine/checkpoint/gguf_weights.h"
#include "engine/checkpoint/grouped_container.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/torch_file.h"
#include "engine/checkpoint/torch_weights.h"
#include "engine/checkpoint/zstd_file.h"

namespace ergo {

WeightFile weights_of(SafetensorsFile&& file) {
    WeightFile weights;
    weights.file_name = file.file_name;
    weights.kind = FileKind::safetensors;
    weights.metadata = file.metadata;
    if (is_grouped_container(file)) {
        file.index_names();
        weights.entries = grouped_entries(file);
        return weights;
    }
    weights.entries.reserve(file.entries.size());
    for (TensorEntry& entry : file.entries) {
        std::optional<Tensor> tensor;
        if (entry.dtype) {
            tensor = file.tensor(entry);
        }
        weights.entries.push_back({std::move(entry.name), std::string(entry.stored_type),
                                   std::move(entry.shape), entry.end - entry.begin, std::move(tensor)});
    }
    return weights;
}

namespace {

WeightFile read_kind(FileKind kind, const std::shared_ptr<const MappedFile>& file) {
    switch (kind) {
    case FileKind::safetensors:
        return weights_of(read_safetensors(file));
    case FileKind::gguf:
        return std::move(gguf_weights({file}).front());
    case FileKind::zip:
    case FileKind::legacy_checkpoint:
    case FileKind::pickle:
    case FileKind::tar:
        return torch_weights(read_torch_file(file));
    case FileKind::unknown: // a damaged safetensors file gets the sentence that says what is wrong with it
        if (file->path().extension() == ".safetensors") {
            return weights_of(read_safetensors(file));
        }
        [[fallthrough]];
    default:
        refuse_kind(kind, file->bytes(), file->name());
    }
}

} // namespace

WeightFile read_weight_file(std::shared_ptr<const MappedFile> file, const Progress& progress,
                            const CancelToken& cancel) {
    if (sniff(file->bytes()) == FileKind::zstd) {
        file = decompress_zstd(*file, progress, cancel);
    }
    const FileKind kind = sniff(file->bytes());
    WeightFile weights = read_kind(kind, file);
    weights.kind = kind;
    weights.file_name = file->name();
    file->check_unchanged();
    if (weights.mappings.empty()) {
        weights.mappings.push_back(std::move(file));
    }
    return weights;
}

} // namespace ergo
