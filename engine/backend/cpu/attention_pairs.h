// SPDX-License-Identifier: GPL-3.0-or-later
// Attention of a prompt's rows in pairs of 16 bits: keys and values of the states laid out once a step, in
// the session's memory, and the tiles that read them. Owned by the op; tiles on any worker.
#pragma once

#include "engine/backend/cpu/cpu_op.h"

namespace ergo::cpu {

class AttentionPairs {
  public:
    /// Of an op that runs_in_pairs (cpu_sizes.h).
    AttentionPairs(const Attention& op, const Resolver& resolver);

    /// Positions from `begin` to the last of the step.
    void lay_out(const StepContext& context, std::int64_t begin) const;

    /// A worker's tile of one head, without queries; its scores have room for all positions.
    PairTile tile(const WorkerScratch& scratch, std::int64_t head) const;

  private:
    std::int64_t positions() const { return session_.row_floats(); }
    float* keys(std::int64_t head) const {
        return session_.pairs.floats() + head * pair_key_floats(positions(), dim_);
    }
    float* values(std::int64_t head) const {
        return session_.pairs.floats() + key_heads_ * pair_key_floats(positions(), dim_) +
               head * pair_value_floats(positions(), value_dim_);
    }

    const CpuSession& session_;
    const CpuState &keys_, &values_;
    std::int64_t heads_, key_heads_, dim_, value_heads_, value_dim_;
};

} // namespace ergo::cpu
