// SPDX-License-Identifier: GPL-3.0-or-later
// The licence a model's folder states: the `license:` line of its model card and the text of a licence file.
// Read, never interpreted. Free functions, any thread.
#pragma once

#include "engine/checkpoint/checkpoint.h"

#include <string>

namespace ergo {

struct Licence {
    std::string name; ///< "apache-2.0", or the first line of the licence file; empty: none was found
    std::string from; ///< file the name is from: "README.md", "LICENSE"
    std::string text; ///< of the licence file, at most 256 KiB; empty: there is none
};

Licence find_licence(const Checkpoint& checkpoint);

} // namespace ergo
