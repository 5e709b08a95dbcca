// SPDX-License-Identifier: GPL-3.0-or-later
// A draft of a schema for a MoA checkpoint whose tensor names nobody has described yet: which tensor plays
// which role, guessed from shapes, from the pattern of layers, from words in the names and from values (MoA
// specification §2.5 and §3). A draft to read and correct, not a finding. Free functions, any thread.
#pragma once

#include "engine/checkpoint/checkpoint.h"

#include <string>
#include <vector>

namespace ergo {

struct SchemaDraft {
    std::string json;               ///< a schema file, ready for the folder of schemas
    std::vector<std::string> notes; ///< what is unsure or left over, one sentence each
    std::size_t matched = 0, unsure = 0;
};

/// Needs config.json for the sizes. Throws Error: what reading it throws, or `mismatch` when the shapes fit
/// no variant of the family closely enough to be worth drafting.
SchemaDraft suggest_schema(const Checkpoint& checkpoint);

} // namespace ergo
