// SPDX-License-Identifier: GPL-3.0-or-later
// Moves bytes between the host and slices: directly where the slice is mapped, else through staging memory.
// Used by one thread at a time; every call returns when the bytes have arrived.
#pragma once

#include "engine/backend/vulkan/memory.h"

#include <cstddef>
#include <functional>
#include <span>

namespace ergo::vulkan {

class Transfer {
  public:
    explicit Transfer(const Device& device);

    /// Writes `bytes` at `offset` of `slice`. `between` is called after each piece, with the bytes done.
    void upload(const Slice& slice, std::uint64_t offset, std::span<const std::byte> bytes,
                const std::function<void(std::uint64_t)>& between = {});
    void download(const Slice& slice, std::uint64_t offset, std::span<std::byte> bytes);

  private:
    void copy(VkBuffer from, VkDeviceSize from_offset, VkBuffer to, VkDeviceSize to_offset,
              VkDeviceSize size);
    const Slice& staging();

    const Device& device_;
    Arena arena_;
    Slice staging_;
    Timeline timeline_;
    VkCommandBuffer commands_ = VK_NULL_HANDLE;
};

} // namespace ergo::vulkan
