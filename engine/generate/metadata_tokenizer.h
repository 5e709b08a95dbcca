// SPDX-License-Identifier: GPL-3.0-or-later
// The tokenizer that a weight file carries in its own metadata (GGUF does). A free function, any thread.
#pragma once

#include "engine/checkpoint/typed_metadata.h"
#include "engine/tokenizer/token_table.h"

#include <optional>

namespace ergo {

/// Nullopt when the metadata names no tokenizer. The texts are views of the file. Throws Error(format,
/// F-CONFIG-VALUE) for values of the wrong type, F-CONFIG-MISSING for a tokenizer without tokens or merges.
std::optional<TokenTable> token_table_of(const TypedMetadata& metadata);

} // namespace ergo
