// SPDX-License-Identifier: GPL-3.0-or-later
// What this program holds now, as the system counts it. A free function, any thread.
#pragma once

#include <cstdint>

namespace ergo {

struct MemoryUse {
    std::uint64_t own = 0;    ///< bytes that are no file's
    std::uint64_t mapped = 0; ///< bytes of mapped files that are in memory; the system can take them back
};

/// Zeros when the system does not say.
MemoryUse memory_use();

} // namespace ergo
