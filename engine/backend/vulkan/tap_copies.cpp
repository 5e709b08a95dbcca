// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/tap_copies.h"

#include "engine/backend/vulkan/program.h"
#include "engine/base/error.h"

#include <algorithm>

namespace ergo::vulkan {

namespace {

constexpr std::uint64_t alignment = 16;

std::uint64_t aligned(std::uint64_t bytes) {
    return (bytes + alignment - 1) / alignment * alignment;
}

std::uint64_t most_bytes(const Plan& plan, BufferId tap, std::int64_t capacity) {
    const BufferInfo& buffer = plan.buffers[static_cast<std::size_t>(tap.index)];
    return aligned(static_cast<std::uint64_t>(buffer_floats(buffer, 1, capacity)) * sizeof(float));
}

std::uint64_t place_bytes(const Plan& plan, std::int64_t capacity) {
    std::uint64_t sum = 0;
    for (const BufferId tap : kept_taps(plan)) {
        sum += most_bytes(plan, tap, capacity);
    }
    return sum;
}

} // namespace

std::vector<BufferId> kept_taps(const Plan& plan) {
    std::vector<BufferId> kept;
    for (const TapBinding& tap : plan.taps) {
        if (plan.max_rows == 1 && std::find(kept.begin(), kept.end(), tap.buffer) == kept.end()) {
            kept.push_back(tap.buffer);
        }
    }
    return kept;
}

std::uint64_t tap_copy_bytes(const Plan& plan, std::int64_t capacity) {
    ArenaSizes sizes(block_of(Placement::outbox));
    if (const std::uint64_t bytes = place_bytes(plan, capacity)) {
        sizes.add(bytes);
        sizes.add(bytes);
    }
    return sizes.total();
}

TapCopies::TapCopies(const Device& device, const Plan& plan, const std::vector<Slice>& buffers,
                     std::int64_t capacity)
    : device_(device), plan_(plan), outbox_(device, Placement::outbox), inbox_(device, Placement::inbox),
      gathers_(device), deliveries_(device, QueueKind::copy) {
    std::uint64_t offset = 0;
    for (const BufferId tap : kept_taps(plan)) {
        taps_.push_back({tap, &buffers[static_cast<std::size_t>(tap.index)], offset});
        offset += most_bytes(plan, tap, capacity);
    }
    for (Place& each : places_) {
        each.device = outbox_.allocate(offset, "what readers see");
        each.gather = gathers_.allocate();
        if (!each.device.mapped) {
            each.host = inbox_.allocate(offset, "what readers see");
            each.deliver = deliveries_.allocate();
        }
    }
}

TapCopies::~TapCopies() {
    // Deliveries wait for the semaphore of the other timeline, which goes right behind them.
    device_.settle(QueueKind::copy);
}

std::uint64_t TapCopies::bytes(const Tap& tap, std::int64_t keys) const {
    const BufferInfo& buffer = plan_.buffers[static_cast<std::size_t>(tap.buffer.index)];
    return static_cast<std::uint64_t>(buffer_floats(buffer, 1, keys)) * sizeof(float);
}

void TapCopies::record(VkCommandBuffer commands, const Place& place, bool deliver) const {
    const DeviceFunctions& functions = device_.functions();
    VkCommandBufferBeginInfo begin{};
    begin.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    begin.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT;
    check(functions.vkBeginCommandBuffer(commands, &begin), "recording a copy");
    // What kernels wrote is visible to copies at the end of every recorded step, and every recorded step
    // begins only when copies before it are done (recorder.cpp); a place is written when nobody reads it any
    // more.
    for (const Tap& tap : taps_) {
        const VkDeviceSize from = deliver ? place.device.offset + tap.offset : tap.from->offset;
        const VkDeviceSize to = (deliver ? place.host.offset : place.device.offset) + tap.offset;
        const VkBufferCopy region{from, to, bytes(tap, place.keys)};
        functions.vkCmdCopyBuffer(commands, deliver ? place.device.buffer : tap.from->buffer,
                                  deliver ? place.host.buffer : place.device.buffer, 1, &region);
    }
    VkMemoryBarrier barrier{}; // a semaphore makes it visible to the other queue, but not to the host
    barrier.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
    barrier.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT;
    barrier.dstAccessMask = VK_ACCESS_HOST_READ_BIT;
    functions.vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1,
                                   &barrier, 0, nullptr, 0, nullptr);
    check(functions.vkEndCommandBuffer(commands), "recording a copy");
}

void TapCopies::keep(std::uint64_t number, std::int64_t keys) {
    Place& to = place(number);
    // Commands may only be recorded anew when they are done. These were given away behind step number - 2,
    // and the step after that has been waited for.
    gathers_.wait(to.gathered);
    deliveries_.wait(to.delivered);
    to.number = number;
    to.keys = keys;
    record(to.gather, to, false);
    to.gathered = gathers_.submit(to.gather);
    if (!to.device.mapped) {
        record(to.deliver, to, true);
        to.delivered = deliveries_.submit(to.deliver, gathers_.moment(to.gathered));
    }
}

std::span<const float> TapCopies::read(std::uint64_t number, BufferId tap) {
    const auto found =
        std::find_if(taps_.begin(), taps_.end(), [&](const Tap& each) { return each.buffer == tap; });
    const Place& from = place(number);
    if (found == taps_.end() || number == 0 || from.number != number) {
        throw Error(ErrorKind::usage, "buffer " + std::to_string(tap.index) + " of the step before is gone");
    }
    device_.check_there();
    gathers_.wait(from.gathered);
    deliveries_.wait(from.delivered);
    const std::byte* at = from.device.mapped ? from.device.mapped : from.host.mapped;
    return {reinterpret_cast<const float*>(at + found->offset), bytes(*found, from.keys) / sizeof(float)};
}

} // namespace ergo::vulkan
