// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/arena_sizes.h"

#include <algorithm>

namespace ergo::vulkan {

ArenaSizes::Place ArenaSizes::add(std::uint64_t bytes) {
    const std::uint64_t size = std::max(alignment, (bytes + alignment - 1) / alignment * alignment);
    if (size > room_) {
        const std::size_t block = blocks_.size();
        blocks_.push_back(std::max(size, usual_));
        total_ += blocks_.back();
        if (size > usual_) {
            return {block, 0};
        }
        shared_ = block;
        room_ = usual_;
    }
    const std::uint64_t offset = blocks_[shared_] - room_;
    room_ -= size;
    return {shared_, offset};
}

} // namespace ergo::vulkan
