// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/program.h"

#include "engine/base/error.h"

#include <cstring>
#include <limits>

namespace ergo::vulkan {

namespace {

/// How many dispatches each command buffer takes. A token is one of them on a GPU; longer steps are cut into
/// pieces short enough that a run can be cancelled in time.
std::vector<std::size_t> segments_of(const Encoder& encoder, const Plan& plan, std::int64_t capacity,
                                     bool software) {
    // Bytes that a piece reads, once for every row: some 20 ms at the rate of a slow device of its kind.
    const double most = software ? 4e6 : plan.max_rows == 1 ? 1e300 : 2e9;
    std::vector<std::size_t> segments;
    double cost = 0;
    const std::vector<Dispatch>& dispatches = encoder.dispatches();
    for (std::size_t i = 0; i < dispatches.size(); ++i) {
        if (i == 0 || dispatches[i].op != dispatches[i - 1].op) {
            const OpUse& use = encoder.uses()[dispatches[i].op];
            const auto step = static_cast<double>(use.moved(1, static_cast<std::uint64_t>(capacity))) *
                              static_cast<double>(plan.max_rows);
            if (segments.empty() || cost + step > most) {
                segments.push_back(0);
                cost = 0;
            }
            cost += step;
        }
        ++segments.back();
    }
    return segments;
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
                             std::shared_ptr<const Plan> plan, bool timed, const MatrixKernel* matrices)
    : context_(context), session_(session), plan_(std::move(plan)),
      device_arena_(context.device, Placement::device), step_arena_(context.device, Placement::step),
      host_arena_(context.device, Placement::transfer), logits_arena_(context.device, Placement::transfer),
      host_buffers_(plan_->buffers.size()) {
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
    bring_logits();
    if (!kept_taps(*plan_).empty()) {
        taps_.emplace(context.device, *plan_, buffers_, session.capacity());
    }
    Encoder encoder(context.device.traits(), *plan_, weights, session, step_.address, buffers_, step_arena_,
                    device_arena_, context.device.options().serialise || timed,
                    context.device.options().no_fusion, matrices);
    encoder.encode();
    uses_ = encoder.uses();
    work_.resize(uses_.size());
    indirect_ =
        step_arena_.allocate(encoder.dispatches().size() * sizeof(VkDispatchIndirectCommand), "group counts");
    recorder_.emplace(context, encoder.dispatches(), indirect_,
                      segments_of(encoder, *plan_, session.capacity(), context.device.traits().info.software),
                      timed, tails_);
}

/// Every step ends with one row of logits and of their parts on their way to the host, where it cannot see
/// them on the device.
void VulkanProgram::bring_logits() {
    for (const BufferId buffer : {plan_->logits, plan_->logit_parts}) {
        if (!buffer || plan_->ops.empty()) {
            continue;
        }
        const auto index = static_cast<std::size_t>(buffer.index);
        const Slice& from = buffers_[index];
        const bool one = plan_->max_rows == 1 || plan_->buffers[index].extent == BufferInfo::Extent::last_row;
        if (one && !from.mapped) {
            const std::uint64_t bytes =
                static_cast<std::uint64_t>(plan_->buffers[index].width) * sizeof(float);
            tails_.push_back({buffer, from, logits_arena_.allocate(bytes, "the logits"), bytes});
        }
    }
}

const Tail* VulkanProgram::tail_of(BufferId buffer) const {
    for (const Tail& tail : tails_) {
        if (tail.buffer == buffer) {
            return &tail;
        }
    }
    return nullptr;
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

void VulkanProgram::begin(const StepState& step) {
    rows_ = step.rows();
    keys_ = step.position + rows_;
    const StepHeader header{static_cast<std::uint32_t>(step.position), static_cast<std::uint32_t>(rows_),
                            session_.params(), usage_.address, step.temperature};
    std::memcpy(step_.mapped, &header, sizeof(header));
    std::memcpy(step_.mapped + sizeof(header), step.ids.data(), step.ids.size() * sizeof(std::int32_t));
    std::memset(usage_.mapped, 0, plan_->ops.size() * sizeof(std::uint32_t));
}

void VulkanProgram::count(Counters& counters) {
    std::vector<std::uint32_t> used(plan_->ops.size());
    std::memcpy(used.data(), usage_.mapped, used.size() * sizeof(std::uint32_t));
    for (std::size_t i = 0; i < uses_.size(); ++i) {
        if (!uses_[i].guarded || used[i]) {
            const auto rows = static_cast<std::uint64_t>(rows_), keys = static_cast<std::uint64_t>(keys_);
            counters.weight_bytes_read += uses_[i].weights_read(rows);
            work_[i].weight_bytes += uses_[i].weights_read(rows);
            work_[i].bytes_moved += uses_[i].moved(rows, keys);
            work_[i].operations += uses_[i].operations_a_row * (uses_[i].last_row ? 1 : rows);
            counters.bytes_moved += uses_[i].moved(rows, keys);
        }
    }
    counters.dispatches += recorder_->dispatches();
    ++counters.forward_passes;
    ++runs_;
}

void VulkanProgram::run(const StepState& step, const CancelToken& cancel, Counters& counters) {
    begin(step);
    kept_ = 0;
    recorder_->replay(static_cast<std::uint64_t>(rows_), static_cast<std::uint64_t>(keys_), cancel);
    counters.submissions += recorder_->segments();
    count(counters);
}

void VulkanProgram::run_meanwhile(const StepState& step, const CancelToken& cancel, Counters& counters,
                                  const std::function<void()>& meanwhile) {
    if (!taps_) { // nothing is kept, so nothing can be read meanwhile
        meanwhile();
        run(step, cancel, counters);
        return;
    }
    struct Restore { // also when a reader or a device throws
        bool& flag;
        ~Restore() { flag = false; }
    };
    begin(step);
    Recorder::Hooks hooks;
    hooks.meanwhile = [&](std::size_t submitted) {
        counters.submissions += submitted;
        const Restore restore{meanwhile_};
        meanwhile_ = true;
        meanwhile();
        counters.submissions += recorder_->segments() - submitted;
    };
    hooks.behind = [&] { taps_->keep(++kept_, keys_); };
    recorder_->replay(static_cast<std::uint64_t>(rows_), static_cast<std::uint64_t>(keys_), cancel, hooks);
    ++counters.submissions;
    count(counters);
}

std::vector<OpTime> VulkanProgram::op_times() const {
    const std::vector<double>& seconds = recorder_->seconds();
    std::vector<OpTime> times;
    std::size_t op = plan_->ops.size();
    for (std::size_t i = 0; i < seconds.size(); ++i) {
        const Dispatch& dispatch = recorder_->dispatch(i);
        if (dispatch.op != op) {
            op = dispatch.op;
            times.push_back({uses_[op].name, dispatch.shader, runs_, 0, work_[op].weight_bytes,
                             work_[op].bytes_moved, work_[op].operations});
        }
        times.back().seconds += seconds[i];
    }
    return times;
}

std::span<const float> VulkanProgram::read(BufferId buffer) {
    if (meanwhile_) {
        return taps_->read(kept_, buffer);
    }
    if (!buffer || static_cast<std::size_t>(buffer.index) >= buffers_.size() || rows_ == 0) {
        throw Error(ErrorKind::usage, rows_ == 0 ? "a buffer was read before the first run"
                                                 : "there is no buffer " + std::to_string(buffer.index));
    }
    context_.device.check_there();            // mapped memory could be read, but nobody knows what is in it
    if (const Tail* tail = tail_of(buffer)) { // the last commands of the run have brought it
        return {reinterpret_cast<const float*>(tail->to.mapped), tail->bytes / sizeof(float)};
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
