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
                   std::size_t segment_length)
    : context_(context), dispatches_(std::move(dispatches)), indirect_(indirect), timeline_(context.device) {
    for (std::size_t begin = 0; begin < dispatches_.size(); begin += segment_length) {
        segments_.push_back(record(begin, std::min(begin + segment_length, dispatches_.size())));
    }
}

VkCommandBuffer Recorder::record(std::size_t begin, std::size_t end) {
    const DeviceFunctions& functions = context_.device.functions();
    constexpr VkPipelineStageFlags compute = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT;
    constexpr VkAccessFlags both = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT;
    VkCommandBuffer commands = timeline_.allocate();
    VkCommandBufferBeginInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO;
    check(functions.vkBeginCommandBuffer(commands, &info), "recording the plan");
    barrier(functions, commands, compute | VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT, compute, both);
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
        functions.vkCmdDispatchIndirect(commands, indirect_.buffer,
                                        indirect_.offset + i * sizeof(VkDispatchIndirectCommand));
    }
    barrier(functions, commands, compute, VK_ACCESS_SHADER_WRITE_BIT,
            VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
            VK_ACCESS_HOST_READ_BIT | VK_ACCESS_TRANSFER_READ_BIT);
    check(functions.vkEndCommandBuffer(commands), "recording the plan");
    return commands;
}

void Recorder::replay(std::uint64_t rows, std::uint64_t keys, const CancelToken& cancel) {
    auto* groups = reinterpret_cast<VkDispatchIndirectCommand*>(indirect_.mapped);
    for (std::size_t i = 0; i < dispatches_.size(); ++i) {
        const auto& wanted = dispatches_[i].groups;
        groups[i] = {wanted[0].count(rows, keys), wanted[1].count(rows, keys), wanted[2].count(rows, keys)};
    }
    // One segment runs while the next is queued, so the device never idles and a cancelled run ends soon.
    std::uint64_t last = 0, before_last = 0;
    for (const VkCommandBuffer segment : segments_) {
        if (cancel.cancelled()) {
            timeline_.wait(last);
            cancel.check();
        }
        const std::uint64_t submitted = timeline_.submit(segment);
        before_last = last;
        last = submitted;
        timeline_.wait(before_last);
    }
    timeline_.wait(last);
}

} // namespace ergo::vulkan
