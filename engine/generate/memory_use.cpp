// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/memory_use.h"

#include <fstream>
#include <string>

namespace ergo {

MemoryUse memory_use() {
    MemoryUse use;
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;) {
        std::uint64_t kibibytes = 0;
        if (word == "RssAnon:" && status >> kibibytes) {
            use.own = kibibytes * 1024;
        } else if (word == "RssFile:" && status >> kibibytes) {
            use.mapped = kibibytes * 1024;
        }
    }
    return use;
}

} // namespace ergo
