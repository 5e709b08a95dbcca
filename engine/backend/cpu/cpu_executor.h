// SPDX-License-Identifier: GPL-3.0-or-later
// One session on the CPU: interprets plans op by op on the backend's thread pool. Used by one thread at a
// time.
#pragma once

#include "engine/backend/cpu/cpu_op.h"

namespace ergo::cpu {

class CpuExecutor final : public Executor {
  public:
    /// Reserves (but does not touch) memory for `capacity` positions. Throws Error(usage, resources).
    CpuExecutor(std::shared_ptr<const CpuModel> model, std::shared_ptr<ThreadPool> pool,
                std::int64_t capacity, bool vnni);

    std::unique_ptr<Program> prepare(std::shared_ptr<const Plan> plan) override;
    void run(Program& program, const StepState& step, const CancelToken& cancel) override;
    std::span<const float> read(Program& program, BufferId buffer) override;

    void time_ops(bool timed) override;

    void set_param(ParamId param, std::span<const float> values) override;
    std::vector<float> param(ParamId param) const override;

    std::vector<float> read_state(StateId state, std::int64_t length) override;
    StateSnapshot export_state(std::int64_t length) override;
    void import_state(const StateSnapshot& snapshot) override;

    std::int64_t capacity() const override { return session_.capacity; }
    Counters counters() const override { return session_.counters; }
    MemoryNeed taken() const override;

  private:
    void check_length(std::int64_t length) const;
    void write_state(std::size_t state, std::span<const float> rows);

    std::shared_ptr<const CpuModel> model_;
    std::shared_ptr<ThreadPool> pool_;
    CpuSession session_;
};

} // namespace ergo::cpu
