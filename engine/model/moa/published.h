// SPDX-License-Identifier: GPL-3.0-or-later
// The published MoA models by name: their configurations, and the guessed ones of those whose configuration
// nobody outside has seen. Free functions, any thread. (MoA specification §1)
#pragma once

#include "engine/model/moa/config.h"

namespace ergo::moa {

struct Published {
    std::string name;
    std::string schema; ///< of its tensors
    Config config;
    /// Where not all of it is as published, one sentence that says so; "" else.
    std::string oddity{};
    /// Numbers in all its tensors; 0: only counted by the schema.
    std::int64_t parameters = 0;
};

/// All of them, in the order in which they are listed.
const std::vector<Published>& published();
/// One by its name; throws Error(usage) listing the names for any other.
const Published& published(const std::string& name);
/// What is known to be odd about the published model of this shape, one sentence; "" for nothing.
std::string published_oddity(const Config& config, std::int64_t parameters);

} // namespace ergo::moa
