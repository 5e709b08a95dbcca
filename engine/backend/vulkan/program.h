// SPDX-License-Identifier: GPL-3.0-or-later
// A plan made ready on the device: its buffers, its step and its recorded commands. Owned by the caller of
// Executor::prepare, used by the executor's thread.
#pragma once

#include "engine/backend/vulkan/recorder.h"
#include "engine/backend/vulkan/tap_copies.h"

#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace ergo::vulkan {

/// Floats of a plan's buffer when a step of `rows` rows sees `keys` keys.
std::int64_t buffer_floats(const BufferInfo& buffer, std::int64_t rows, std::int64_t keys);

/// What changes from step to step; the ids follow. Mirrors Step in shaders/common.glsl.
struct StepHeader {
    std::uint32_t position = 0, rows = 0;
    VkDeviceAddress params = 0, usage = 0;
    float temperature = -1; ///< of StepState
    std::uint32_t unused = 0;
};

class VulkanProgram final : public Program {
  public:
    /// `timed`: measures what each op takes; the ops then run one after the other. `matrices`: computes
    /// products of several rows where it may; null: nothing does.
    VulkanProgram(Context& context, Weights& weights, SessionMemory& session,
                  std::shared_ptr<const Plan> plan, bool timed, const MatrixKernel* matrices);

    /// Runs a step that validate_step() has passed.
    void run(const StepState& step, const CancelToken& cancel, Counters& counters);
    /// As Executor::run_meanwhile.
    void run_meanwhile(const StepState& step, const CancelToken& cancel, Counters& counters,
                       const std::function<void()>& meanwhile);
    /// As Executor::read.
    std::span<const float> read(BufferId buffer);
    MemoryNeed taken() const override {
        MemoryNeed taken;
        taken.scratch = device_arena_.allocated() + step_arena_.allocated() + host_arena_.allocated() +
                        (taps_ ? taps_->allocated() : 0);
        return taken;
    }
    std::vector<OpTime> op_times() const override;
    const Plan& plan() const { return *plan_; }
    /// The session this program was made for.
    const SessionMemory& session() const { return session_; }

  private:
    void allocate_buffers();
    void bring_logits();
    const Tail* tail_of(BufferId buffer) const;
    void begin(const StepState& step);
    void count(Counters& counters);

    Context& context_;
    SessionMemory& session_;
    std::shared_ptr<const Plan> plan_;
    Arena device_arena_; // buffers and scratch
    Arena step_arena_;   // step, arguments, group counts
    Arena host_arena_;   // usage, written by the device and read by the host
    Arena logits_arena_; // in main memory, as staging, with their parts; only where the device's cannot be
                         // mapped
    std::vector<Slice> buffers_;
    Slice step_, usage_, indirect_;
    std::vector<OpUse> uses_;
    struct Work {
        std::uint64_t weight_bytes = 0, bytes_moved = 0, operations = 0;
    };
    std::vector<Work> work_;        // of all runs, as uses_
    std::vector<Tail> tails_;       // the logits and their parts, where the host cannot see them
    std::optional<TapCopies> taps_; // of a plan that shows something, one row at a time
    std::optional<Recorder> recorder_;
    std::uint64_t runs_ = 0;
    std::uint64_t kept_ = 0; // the last run whose taps are kept aside, from 1; 0: the last run's are not
    bool meanwhile_ = false; // the taps of the run before are asked for
    std::int64_t rows_ = 0, keys_ = 0;             // of the last run
    std::vector<std::vector<float>> host_buffers_; // copies of buffers the host cannot map
};

} // namespace ergo::vulkan
