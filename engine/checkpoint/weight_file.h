// SPDX-License-Identifier: GPL-3.0-or-later
// The seam between kinds of weight files and a Checkpoint: whatever the container, what comes out is names
// and tensors. A new container adds its FileKind (sniff.h), a reader, and one line in weight_file.cpp;
// locate.cpp knows which names to look for. Values and free functions, any thread.
#pragma once

#include "engine/base/cancel.h"
#include "engine/base/error.h"
#include "engine/checkpoint/mapped_file.h"
#include "engine/checkpoint/sniff.h"
#include "engine/checkpoint/typed_metadata.h"
#include "engine/tensor/tensor.h"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ergo {

/// One stored tensor.
struct WeightEntry {
    std::string name;
    std::string stored_type; ///< "F32", "BF16", "F8_E4M3" …
    Shape shape;
    std::uint64_t bytes = 0; ///< that it takes in the file; 0 for a second name of a tensor already counted
    std::optional<Tensor> tensor; ///< empty for a type that no Tensor can hold: shown, never run
    bool second_name = false;     ///< shares all its bytes with an entry before it (tied weights)
};

struct WeightFile {
    std::string file_name;
    FileKind kind = FileKind::unknown;
    std::vector<WeightEntry> entries; ///< in file order
    std::map<std::string, std::string> metadata;
    /// Small files that the container itself carries ("config.json", "tokenizer.json" …); they come before
    /// those in the folder.
    std::map<std::string, std::string> side_files;
    TypedMetadata typed_metadata; ///< of containers that have some: a tokenizer may lie in it
    std::vector<std::string> warnings;
    std::optional<Error> refusal;                            ///< why the file can be looked into but not run
    std::vector<std::shared_ptr<const MappedFile>> mappings; ///< that tensors and metadata view
};

/// The tensors of one container as weights.
WeightFile weights_of(struct SafetensorsFile&& file);

/// Opens a weight file by its content: headers only, except for what a compressed file needs. Throws Error
/// with the codes of the container's reader, or those of refuse_kind. A GGUF file must be whole; parts of one
/// are read together (gguf_weights.h).
WeightFile read_weight_file(std::shared_ptr<const MappedFile> file, const Progress& progress = {},
                            const CancelToken& cancel = {});

} // namespace ergo
