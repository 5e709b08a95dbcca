// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/program.h"

#include "engine/base/error.h"

#include <cstring>
#include <limits>

namespace ergo::vulkan {

namespace {

/// Dispatches in one command buffer: few where a step is long, so that it can be cancelled in time.
std::size_t segment_length(const Plan& plan, const Device& device) {
    if (plan.max_rows == 1 && !device.traits().info.software) {
        return std::numeric_limits<std::size_t>::max() / 2;
    }
    return 16;
}

} // namespace

std::int64_t buffer_floats(const BufferInfo& buffer, std::int64_t rows, std::int64_t keys) {
    switch (buffer.extent) {
    case BufferInfo::Extent::last_row:
        return buffer.width;
    case BufferInfo::Extent::rows_keys:
        return rows * buffer.width * keys;
    default:
        return rows * buffer.width;
    }
}

VulkanProgram::VulkanProgram(Context& context, Weights& weights, SessionMemory& session,
                             std::shared_ptr<const Plan> plan)
    : context_(context), session_(session), plan_(std::move(plan)),
      device_arena_(context.device, Placement::device), step_arena_(context.device, Placement::step),
      host_arena_(context.device, Placement::transfer), host_buffers_(plan_->buffers.size()) {
    const auto& limits = context.device.traits().limits;
    if (plan_->max_rows > limits.maxComputeWorkGroupCount[1] ||
        plan_->max_rows > limits.maxComputeWorkGroupCount[2]) {
        throw Error(ErrorKind::unsupported, "a plan of " + std::to_string(plan_->max_rows) +
                                                " rows is more than the Vulkan device can take at once");
    }
    step_ = step_arena_.allocate(sizeof(StepHeader) + static_cast<std::uint64_t>(plan_->max_rows) * 4,
                                 "the step");
    usage_ = host_arena_.allocate(plan_->ops.size() * sizeof(std::uint32_t), "the counters");
    allocate_buffers();
    Encoder encoder(context.device.traits(), *plan_, weights, session, step_.address, buffers_, step_arena_,
                    device_arena_);
    encoder.encode();
    uses_ = encoder.uses();
    indirect_ =
        step_arena_.allocate(encoder.dispatches().size() * sizeof(VkDispatchIndirectCommand), "group counts");
    recorder_.emplace(context, encoder.dispatches(), indirect_, segment_length(*plan_, context.device));
}

void VulkanProgram::allocate_buffers() {
    const DeviceInfo& info = context_.device.traits().info;
    std::uint64_t total = 0;
    for (const BufferInfo& buffer : plan_->buffers) {
        const std::int64_t count = buffer_floats(buffer, plan_->max_rows, session_.capacity());
        if (count > std::numeric_limits<std::uint32_t>::max()) { // kernels index a buffer with 32 bits
            throw Error(ErrorKind::resources,
                        buffer.name + " would hold " + std::to_string(count) +
                            " numbers, more than the Vulkan backend can address",
                        {.code = "V-BUFFER",
                         .advice = "capture fewer heads, use smaller chunks or a shorter context"});
        }
        total += static_cast<std::uint64_t>(count) * sizeof(float);
        if (total > info.memory_bytes) {
            throw Error(ErrorKind::resources,
                        "a step of " + std::to_string(plan_->max_rows) + " rows needs more than the " +
                            std::to_string(info.memory_bytes >> 20) + " MiB of " + info.name,
                        {.code = "V-BUFFER",
                         .advice = "capture fewer heads, use smaller chunks or a shorter context"});
        }
        buffers_.push_back(
            device_arena_.allocate(static_cast<std::uint64_t>(count) * sizeof(float), buffer.name));
    }
}

void VulkanProgram::run(const StepState& step, const CancelToken& cancel, Counters& counters) {
    rows_ = step.rows();
    keys_ = step.position + rows_;
    const StepHeader header{static_cast<std::uint32_t>(step.position), static_cast<std::uint32_t>(rows_),
                            session_.params(), usage_.address};
    std::memcpy(step_.mapped, &header, sizeof(header));
    std::memcpy(step_.mapped + sizeof(header), step.ids.data(), step.ids.size() * sizeof(std::int32_t));
    std::memset(usage_.mapped, 0, plan_->ops.size() * sizeof(std::uint32_t));
    recorder_->replay(static_cast<std::uint64_t>(rows_), static_cast<std::uint64_t>(keys_), cancel);

    std::vector<std::uint32_t> used(plan_->ops.size());
    std::memcpy(used.data(), usage_.mapped, used.size() * sizeof(std::uint32_t));
    for (std::size_t i = 0; i < uses_.size(); ++i) {
        if (!uses_[i].guarded || used[i]) {
            counters.weight_bytes_read +=
                uses_[i].weight_bytes + uses_[i].bytes_a_row * static_cast<std::uint64_t>(rows_);
        }
    }
    ++counters.forward_passes;
}

std::span<const float> VulkanProgram::read(BufferId buffer) {
    if (!buffer || static_cast<std::size_t>(buffer.index) >= buffers_.size() || rows_ == 0) {
        throw Error(ErrorKind::usage, rows_ == 0 ? "a buffer was read before the first run"
                                                 : "there is no buffer " + std::to_string(buffer.index));
    }
    const auto index = static_cast<std::size_t>(buffer.index);
    const auto count = static_cast<std::size_t>(buffer_floats(plan_->buffers[index], rows_, keys_));
    const Slice& slice = buffers_[index];
    if (slice.mapped) {
        return {reinterpret_cast<const float*>(slice.mapped), count};
    }
    std::vector<float>& copy = host_buffers_[index];
    copy.resize(count);
    session_.transfer().download(slice, 0, std::as_writable_bytes(std::span(copy)));
    return copy;
}

} // namespace ergo::vulkan
