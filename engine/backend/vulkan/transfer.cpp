// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/transfer.h"

#include <algorithm>
#include <cstring>

namespace ergo::vulkan {

namespace {
constexpr std::uint64_t piece = std::uint64_t{8} << 20;
} // namespace

Transfer::Transfer(const Device& device)
    : device_(device), arena_(device, Placement::transfer), timeline_(device),
      commands_(timeline_.allocate()) {}

const Slice& Transfer::staging() {
    if (!staging_.mapped) {
        staging_ = arena_.allocate(piece, "staging");
    }
    return staging_;
}

void Transfer::upload(const Slice& slice, std::uint64_t offset, std::span<const std::byte> bytes,
                      const std::function<void(std::uint64_t)>& between) {
    for (std::uint64_t done = 0; done < bytes.size();) {
        const std::uint64_t size = std::min<std::uint64_t>(piece, bytes.size() - done);
        if (slice.mapped) {
            std::memcpy(slice.mapped + offset + done, bytes.data() + done, size);
        } else {
            std::memcpy(staging().mapped, bytes.data() + done, size);
            copy(staging_.buffer, staging_.offset, slice.buffer, slice.offset + offset + done, size);
        }
        done += size;
        if (between) {
            between(done);
        }
    }
}

void Transfer::download(const Slice& slice, std::uint64_t offset, std::span<std::byte> bytes) {
    device_.check_there(); // mapped memory would still be read, but nobody knows what is in it
    for (std::uint64_t done = 0; done < bytes.size();) {
        const std::uint64_t size = std::min<std::uint64_t>(piece, bytes.size() - done);
        if (slice.mapped) {
            std::memcpy(bytes.data() + done, slice.mapped + offset + done, size);
        } else {
            copy(slice.buffer, slice.offset + offset + done, staging().buffer, staging_.offset, size);
            std::memcpy(bytes.data() + done, staging_.mapped, size);
        }
        done += size;
    }
}

void Transfer::copy(VkBuffer from, VkDeviceSize from_offset, VkBuffer to, VkDeviceSize to_offset,
                    VkDeviceSize size) {
    const DeviceFunctions& functions = device_.functions();
    VkCommandBufferBeginInfo begin{};
    begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    check(functions.vkBeginCommandBuffer(commands_, &begin), "recording a copy");
    const VkBufferCopy region{from_offset, to_offset, size};
    functions.vkCmdCopyBuffer(commands_, from, to, 1, &region);
    // The bytes must be visible to the host and to the next submission.
    VkMemoryBarrier barrier{};
    barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
    barrier.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT;
    barrier.dstAccessMask = VK_ACCESS_HOST_READ_BIT | VK_ACCESS_MEMORY_READ_BIT | VK_ACCESS_MEMORY_WRITE_BIT;
    functions.vkCmdPipelineBarrier(commands_, VK_PIPELINE_STAGE_TRANSFER_BIT,
                                   VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_ALL_COMMANDS_BIT, 0, 1,
                                   &barrier, 0, nullptr, 0, nullptr);
    check(functions.vkEndCommandBuffer(commands_), "recording a copy");
    timeline_.wait(timeline_.submit(commands_));
}

} // namespace ergo::vulkan
