// SPDX-License-Identifier: GPL-3.0-or-later
// A stretch of bytes of a text. A plain value.
#pragma once

#include <cstddef>

namespace ergo {

struct ByteRange {
    std::size_t begin = 0, end = 0; ///< [begin, end)
    bool empty() const { return begin == end; }
    bool operator==(const ByteRange&) const = default;
};

} // namespace ergo
