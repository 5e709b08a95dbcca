// SPDX-License-Identifier: GPL-3.0-or-later
// Ids after which a text is over, from wherever a checkpoint says so. A free function, any thread.
#pragma once

#include "engine/checkpoint/checkpoint.h"
#include "engine/tokenizer/tokenizer.h"

#include <cstdint>
#include <vector>

namespace ergo {

/// The union of eos_token_id (a number or a list) in generation_config.json and config.json, and the
/// tokenizer's end of text; sorted. Files that say something else there are passed over. `tokenizer` may be
/// null.
std::vector<std::int32_t> end_tokens(const Checkpoint& checkpoint, const Tokenizer* tokenizer);

} // namespace ergo
