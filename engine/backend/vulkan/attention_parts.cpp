// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/attention_parts.h"

#include <algorithm>

namespace ergo::vulkan {

std::uint32_t attention_parts(const Attention& op, std::int64_t max_rows, std::int64_t capacity) {
    constexpr std::int64_t enough_groups = 256, most = 32; // groups that keep a large GPU busy
    if (max_rows != 1) {
        return 1; // the rows are groups enough
    }
    const std::int64_t keys = op.window > 0 ? std::min(op.window, capacity) : capacity;
    return static_cast<std::uint32_t>(
        std::clamp(std::min(enough_groups / op.heads, keys / part_keys), std::int64_t{1}, most));
}

std::uint64_t attention_part_bytes(const Attention& op, std::int64_t max_rows, std::int64_t capacity) {
    const std::uint64_t parts = attention_parts(op, max_rows, capacity);
    const auto floats = static_cast<std::uint64_t>(4 + op.value_dim) * static_cast<std::uint64_t>(op.heads) *
                        static_cast<std::uint64_t>(max_rows);
    return parts > 1 ? parts * floats * sizeof(float) : 0;
}

} // namespace ergo::vulkan
