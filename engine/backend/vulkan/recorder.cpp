// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/recorder.h"

#include <algorithm>

namespace ergo::vulkan {

namespace {

/// What later dispatches and submissions may do with what earlier ones wrote.
void barrier(const DeviceFunctions& functions, VkCommandBuffer commands, VkPipelineStageFlags from,
             VkAccessFlags wrote, VkPipelineStageFlags to, VkAccessFlags reads) {
    VkMemoryBarrier memory{};
    memory.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER;
    memory.srcAccessMask = wrote;
    memory.dstAccessMask = reads;
    functions.vkCmdPipelineBarrier(commands, from, to, 0, 1, &memory, 0, nullptr, 0, nullptr);
}

} // namespace

Recorder::Recorder(Context& context, std::vector<Dispatch> dispatches, const Slice& indirect,
                   const std::vector<std::size_t>& segments, bool timed, std::span<const Tail> tails)
    : context_(context), dispatches_(std::move(dispatches)), indirect_(indirect), timeline_(context.device) {
    std::vector<Pipelines::Wanted> wanted;
    for (const Dispatch& dispatch : dispatches_) {
        wanted.push_back({dispatch.shader, dispatch.constants});
    }
    context_.pipelines.prepare(wanted);
    if (timed && !dispatches_.empty() && context_.device.traits().timestamp_bits > 0) {
        const DeviceFunctions& functions = context_.device.functions();
        VkQueryPoolCreateInfo info{};
        info.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO;
        info.queryType = VK_QUERY_TYPE_TIMESTAMP;
        info.queryCount = static_cast<std::uint32_t>(2 * dispatches_.size());
        VkQueryPool pool = VK_NULL_HANDLE;
        check(functions.vkCreateQueryPool(context_.device.get(), &info, nullptr, &pool), "making a clock");
        clock_ = {context_.device.get(), pool, functions.vkDestroyQueryPool};
        seconds_.resize(dispatches_.size());
    }
    std::size_t begin = 0;
    for (const std::size_t count : segments) {
        const bool last = begin + count == dispatches_.size();
        segments_.push_back(record(begin, begin + count, last ? tails : std::span<const Tail>()));
        begin += count;
    }
}

VkCommandBuffer Recorder::record(std::size_t begin, std::size_t end, std::span<const Tail> tails) {
    const DeviceFunctions& functions = context_.device.functions();
    constexpr VkPipelineStageFlags compute = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
    constexpr VkAccessFlags both = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
    VkCommandBuffer commands = timeline_.allocate();
    VkCommandBufferBeginInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    check(functions.vkBeginCommandBuffer(commands, &info), "recording the plan");
    barrier(functions, commands, compute | VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, compute, both);
    const VkQueryPool clock = clock_.get();
    if (clock != VK_NULL_HANDLE) {
        functions.vkCmdResetQueryPool(commands, clock, static_cast<std::uint32_t>(2 * begin),
                                      static_cast<std::uint32_t>(2 * (end - begin)));
    }
    const auto read_clock = [&](std::size_t query, VkPipelineStageFlagBits stage) {
        if (clock != VK_NULL_HANDLE) {
            functions.vkCmdWriteTimestamp(commands, stage, clock, static_cast<std::uint32_t>(query));
        }
    };
    VkPipeline bound = VK_NULL_HANDLE;
    for (std::size_t i = begin; i < end; ++i) {
        const Dispatch& dispatch = dispatches_[i];
        if (dispatch.waits && i != begin) {
            barrier(functions, commands, compute, VK_ACCESS_SHADER_WRITE_BIT, compute, both);
        }
        const VkPipeline pipeline = context_.pipelines.get(dispatch.shader, dispatch.constants);
        if (pipeline != bound) {
            functions.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
            bound = pipeline;
        }
        functions.vkCmdPushConstants(commands, context_.pipelines.layout(), VK_SHADER_STAGE_COMPUTE_BIT, 0,
                                     push_bytes, dispatch.push.data());
        // Timed dispatches run one after the other, so that what lies between two readings is one of them.
        read_clock(2 * i, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT);
        functions.vkCmdDispatchIndirect(commands, indirect_.buffer,
                                        indirect_.offset + i * sizeof(VkDispatchIndirectCommand));
        read_clock(2 * i + 1, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT);
    }
    barrier(functions, commands, compute, VK_ACCESS_SHADER_WRITE_BIT,
            VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_HOST_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT);
    for (const Tail& tail : tails) {
        const VkBufferCopy region{tail.from.offset, tail.to.offset, tail.bytes};
        functions.vkCmdCopyBuffer(commands, tail.from.buffer, tail.to.buffer, 1, &region);
    }
    if (!tails.empty()) {
        barrier(functions, commands, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_ACCESS_TRANSFER_WRITE_BIT,
                VK_PIPELINE_STAGE_HOST_BIT, VK_ACCESS_HOST_READ_BIT);
    }
    check(functions.vkEndCommandBuffer(commands), "recording the plan");
    return commands;
}

void Recorder::replay(std::uint64_t rows, std::uint64_t keys, const CancelToken& cancel, const Hooks& hooks) {
    auto* groups = reinterpret_cast<VkDispatchIndirectCommand*>(indirect_.mapped);
    for (std::size_t i = 0; i < dispatches_.size(); ++i) {
        const auto& wanted = dispatches_[i].groups;
        groups[i] = {wanted[0].count(rows, keys), wanted[1].count(rows, keys), wanted[2].count(rows, keys)};
    }
    // One segment runs while the next is queued, so the device never idles and a cancelled run ends soon.
    constexpr std::size_t queued = 2; // segments
    std::uint64_t last = 0, before_last = 0;
    try {
        for (std::size_t i = 0; i < segments_.size(); ++i) {
            if (i == 0 ||
                i >= queued) { // the first go together, so that what is read meanwhile is still there
                cancel.check();
            }
            const std::uint64_t submitted = timeline_.submit(segments_[i]);
            before_last = last;
            last = submitted;
            if (hooks.meanwhile && i + 1 == std::min(queued, segments_.size())) {
                hooks.meanwhile(i + 1);
            }
            timeline_.wait(before_last);
        }
        if (hooks.behind) {
            hooks.behind();
        }
    } catch (...) { // nothing may be at work when the caller goes on
        timeline_.wait(last);
        throw;
    }
    timeline_.wait(last);
    add_times();
}

void Recorder::add_times() {
    if (seconds_.empty()) {
        return;
    }
    std::vector<std::uint64_t> ticks(2 * dispatches_.size());
    check(context_.device.functions().vkGetQueryPoolResults(
              context_.device.get(), clock_.get(), 0, static_cast<std::uint32_t>(ticks.size()),
              ticks.size() * sizeof(ticks[0]), ticks.data(), sizeof(ticks[0]),
              VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT),
          "reading the clock");
    const DeviceTraits& traits = context_.device.traits();
    const std::uint64_t valid =
        traits.timestamp_bits >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << traits.timestamp_bits) - 1;
    for (std::size_t i = 0; i < dispatches_.size(); ++i) {
        const std::uint64_t passed =
            (ticks[2 * i + 1] - ticks[2 * i]) & valid; // also where the clock wrapped
        seconds_[i] +=
            static_cast<double>(passed) * static_cast<double>(traits.limits.timestampPeriod) * 1e-9;
    }
}

} // namespace ergo::vulkan
