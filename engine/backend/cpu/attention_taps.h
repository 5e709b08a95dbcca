// SPDX-License-Identifier: GPL-3.0-or-later
// What readers want of the rows of one attention op, written while the row is at hand. Owned by the op; any
// worker may write the rows it computes.
#pragma once

#include "engine/backend/cpu/cpu_op.h"

namespace ergo::cpu {

/// Row `index` of a parameter [rows or 1, dim].
inline const float* row_or_only(const std::vector<float>& table, std::int64_t dim, std::int64_t index) {
    return table.data() + (static_cast<std::int64_t>(table.size()) == dim ? 0 : index * dim);
}

class AttentionTaps {
  public:
    AttentionTaps(const Attention& op, const Resolver& resolver);

    /// Whether logits or scores of head h are wanted.
    bool captured(std::int64_t h) const {
        return (logits_ || scores_) && !slots_[static_cast<std::size_t>(h)].empty();
    }
    bool any_captured() const { return logits_ || scores_; }
    bool wants_entropy() const { return entropy_ != nullptr; }
    bool wants_largest() const { return top_keys_ != nullptr; }
    /// Whether anything is wanted of every head.
    bool wants_all() const { return maximum_ || sum_ || kept_ || entropy_ || top_keys_; }

    /// Row r of head h: scores and logits of `keys` keys, one every `step` floats. Logits outside
    /// [begin, end) are masked; null scores are not wanted.
    void capture(std::int32_t r, std::int64_t h, std::int64_t keys, std::int64_t begin, std::int64_t end,
                 const float* scores, const float* logits, std::int64_t step) const;
    bool wants_scores() const { return scores_ != nullptr; }

    struct Row {
        float maximum = 0, sum = 0, kept = 0, weighted = 0; ///< weighted: of e^x x, for the entropy
    };
    void scalars(std::int32_t r, std::int64_t h, const Row& row) const;
    /// The keys with the largest logits of the candidates, `logits` being that of position `begin`: kept keys
    /// by falling logit, of equal ones the lower key first.
    void largest(std::int32_t r, std::int64_t h, const float* logits, std::int64_t begin,
                 std::int64_t end) const;
    /// The same of a group of heads side by side: [positions, side].
    void largest_side(std::int32_t r, std::int64_t group, const float* logits, std::int64_t begin,
                      std::int64_t end) const;
    /// What became of those keys' logits: weights[(key - base) * step] * factor.
    void largest_weights(std::int32_t r, std::int64_t h, const float* weights, float factor,
                         std::int64_t base, std::int64_t step) const;

  private:
    CpuBuffer *logits_, *scores_, *maximum_, *sum_, *kept_, *entropy_, *top_keys_, *top_weights_;
    std::vector<std::vector<std::int64_t>> slots_; // rows of logits and scores that show head h
};

/// Attention over heads that lie side by side.
std::unique_ptr<CpuOp> make_side_attention(const Attention& op, const Resolver& resolver);

} // namespace ergo::cpu
