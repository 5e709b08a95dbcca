// SPDX-License-Identifier: GPL-3.0-or-later
// A GGUF model, in one file or several, as weights: tensors under their checkpoint names, config.json from
// the metadata. Internal to this floor. A free function, any thread.
#pragma once

#include "engine/checkpoint/weight_file.h"

#include <memory>
#include <string>
#include <vector>

namespace ergo {

/// `parts` in order, the first with the metadata; it carries the config.json and the typed metadata of all.
/// An architecture or a tensor type that is only known by name becomes the `refusal` (F-ARCH, GG-TYPE).
/// Throws Error with the codes of read_gguf, GG-SPLIT, GG-TOKENIZER, F-CONFIG-MISSING, F-CONFIG-VALUE.
std::vector<WeightFile> gguf_weights(const std::vector<std::shared_ptr<const MappedFile>>& parts);

} // namespace ergo
