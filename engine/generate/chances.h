// SPDX-License-Identifier: GPL-3.0-or-later
// The distribution over the next token at one temperature, without a pass over the vocabulary: sums of its
// parts are known, and only parts that can hold what is looked for are read. A view of logits and parts that
// must outlive it; used by one thread.
#pragma once

#include "engine/backend/logit_parts.h"

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace ergo {

class Chances {
  public:
    /// `parts` belong to `logits`. `temperature` 1 takes their plain sums; `warm`: their warm sums, which are
    /// of this temperature. Throws Error(mismatch) where no logit is finite.
    Chances(std::span<const float> logits, std::span<const LogitPart> parts, double temperature, bool warm);

    std::int64_t vocabulary() const { return static_cast<std::int64_t>(logits_.size()); }
    /// 0 for a logit that is not finite.
    double probability(std::int32_t id) const;
    /// The `count` likeliest (fewer where fewer are finite), likeliest first; equal logits: lower id first.
    std::vector<std::int32_t> largest(std::size_t count) const;

    /// The last id that a cut leaves, in the order of largest(): ids with greater logits stay, and of equal
    /// ones those up to it.
    struct Bound {
        float logit = -std::numeric_limits<float>::infinity();
        std::int32_t id = std::numeric_limits<std::int32_t>::max();
        bool keeps(float other, std::size_t i) const {
            return other > logit || (other == logit && static_cast<std::int64_t>(i) <= id);
        }
        /// The narrower of two.
        Bound operator&(const Bound& other) const {
            return keeps(other.logit, static_cast<std::size_t>(other.id)) ? other : *this;
        }
    };
    Bound first(std::size_t count) const;    ///< top-k
    Bound not_below(double share) const;     ///< min-p: of the largest probability, below 1
    Bound holding(double probability) const; ///< top-p: the fewest that add up to so much

    /// The id at which the probabilities of what the bound leaves, added up in the order of ids, exceed
    /// `share` (0 to below 1) of their sum.
    std::int32_t at(double share, const Bound& bound) const;
    /// The same of all, without looking at them.
    std::int32_t at(double share) const;

  private:
    double weight(double logit) const; ///< relative to the largest of all
    Bound holding_among_all(double wanted) const;
    double kept(std::size_t part, const Bound& bound) const;
    std::int32_t drawn(double left, std::span<const double> weights, const Bound& bound) const;
    template <class Body> void each_of(std::size_t part, const Body& body) const;

    std::span<const float> logits_;
    std::span<const LogitPart> parts_;
    double temperature_, top_, total_ = 0;
    std::vector<double> weights_; // of each part
};

} // namespace ergo
