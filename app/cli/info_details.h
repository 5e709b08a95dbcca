// SPDX-License-Identifier: GPL-3.0-or-later
// The long parts of `ergo info`, as the model card shows them: tensors with their statistics, files with
// their digests.
#pragma once

#include "app/cli/commands.h"

#include <nlohmann/json_fwd.hpp>

namespace ergo::cli {

/// --tensors, --stats, --sha256.
std::vector<Option> detail_options();

/// The tensors are asked for instead of the model.
bool wants_tensors(const Arguments& arguments);

/// What lies in the weight files, whatever family it may be: names, types, shapes, statistics and digests as
/// far as they were asked for; text or JSON. Statistics and digests read the weights.
std::string tensors_text(const Checkpoint& checkpoint, const Arguments& arguments, const Context& context);

/// Adds "files" to `out` when --sha256 is there.
void add_digests(nlohmann::json& out, const Checkpoint& checkpoint, const Arguments& arguments,
                 const Context& context);
/// The same as lines of text.
std::string digests_text(const Checkpoint& checkpoint, const Arguments& arguments, const Context& context);

} // namespace ergo::cli
