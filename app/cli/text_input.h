// SPDX-License-Identifier: GPL-3.0-or-later
// The text that a command evaluates: from a file through the model's tokenizer, or given as ids.
#pragma once

#include "app/cli/commands.h"

#include <cstdint>
#include <vector>

namespace ergo::cli {

struct TextInput {
    std::vector<std::int32_t> tokens;
    std::int64_t words = 0, bytes = 0; ///< of the text; 0 when ids were given
};

/// `own` preceded by -f, --tokens and --start.
std::vector<Option> text_options(std::vector<Option> own);
/// Throws UsageError unless exactly one of -f and --tokens is there.
void check_text_options(const Arguments& arguments);
/// Throws Error(io) for a file that cannot be read, Error(usage) without a tokenizer or a start token.
TextInput read_text_input(const Arguments& arguments, const OpenedModel& opened);

} // namespace ergo::cli
