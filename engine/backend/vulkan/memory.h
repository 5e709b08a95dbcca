// SPDX-License-Identifier: GPL-3.0-or-later
// Device memory: an arena hands out slices of large buffers and frees them all at once. Used by one thread at
// a time.
#pragma once

#include "engine/backend/vulkan/arena_sizes.h"
#include "engine/backend/vulkan/device.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ergo::vulkan {

/// A piece of a buffer. Valid as long as its arena.
struct Slice {
    VkBuffer buffer = VK_NULL_HANDLE;
    VkDeviceSize offset = 0;
    VkDeviceSize size = 0;
    VkDeviceAddress address = 0;
    std::byte* mapped = nullptr; ///< where the host sees it, or null
};

enum class Placement : std::uint8_t {
    device,   ///< fast for the device; mapped only where that costs the host nothing
    step,     ///< small, written by the host before each step; always mapped
    transfer, ///< staging, read and written by the host; always mapped
    outbox,   ///< as `device`, for both queues: what waits to be copied to the host
    inbox,    ///< as `transfer`, for both queues: what has been copied
};

/// Bytes of a block that slices of that placement share.
std::uint64_t block_of(Placement placement);

class Arena {
  public:
    Arena(const Device& device, Placement placement);

    /// A slice of at least `bytes`, aligned to 256. Throws Error(resources) naming `what` when memory ran
    /// out.
    Slice allocate(std::uint64_t bytes, const std::string& what);
    /// Bytes of all its buffers.
    std::uint64_t allocated() const { return sizes_.total(); }

  private:
    struct Block {
        Owned<VkDeviceMemory> memory;
        Owned<VkBuffer> buffer; // destroyed first: declared after its memory
        VkDeviceAddress address = 0;
        std::byte* mapped = nullptr;
    };

    Block make_block(std::uint64_t bytes, const std::string& what) const;
    std::uint32_t memory_type(std::uint32_t allowed) const;

    const Device& device_;
    Placement placement_;
    std::vector<Block> blocks_;
    ArenaSizes sizes_;
};

} // namespace ergo::vulkan
