// SPDX-License-Identifier: GPL-3.0-or-later
// BlackHoleRoPE: rotation, phase and value gain of one instance, as functions of the position. Formed in
// float64 and rounded once. Immutable, any thread. Source: MoA specification §6.6.
#pragma once

#include "engine/checkpoint/fit.h"
#include "engine/model/moa/config.h"
#include "engine/model/moa/semantics.h"

#include <cstdint>
#include <string>
#include <vector>

namespace ergo::moa {

/// Stored numbers of one instance; empty vectors where nothing is stored.
struct RopeParts {
    std::vector<double> inv_freq, phase_bias;               // [dim / 2]
    std::vector<double> phase_coef, energy_coef, disc_coef; // [r_basis, dim / 2]
    std::vector<float> cos, sin, gain;                      // [max_seq_len_cached, dim]

    /// Reads "{prefix}inv_freq" … where `roles` has them; the tables only on request.
    static RopeParts read(const RoleMap& roles, const std::string& prefix, bool with_tables);
};

/// Everything at positions [begin, begin + count).
struct RopeTables {
    std::vector<double> cos, sin, gain; // [count, dim]
    std::vector<double> phase;          // [count, dim / 2]
};

class Rope {
  public:
    Rope(const Config& config, const Semantics& semantics, std::int64_t dim, RopeParts parts);

    std::int64_t dim() const { return dim_; }
    /// Positions there are: the stored rows for rope_source = tables, else without limit (INT64_MAX).
    std::int64_t limit() const;
    /// False when the value gain is 1 at every position.
    bool has_gain() const;
    /// Throws Error(usage) beyond limit().
    RopeTables at(std::int64_t begin, std::int64_t count) const;

  private:
    RopeTables synthesised(std::int64_t begin, std::int64_t count) const;
    RopeTables stored(std::int64_t begin, std::int64_t count) const;
    void widen(const std::vector<double>& pairs, std::int64_t count, std::vector<double>& out) const;

    std::int64_t dim_, period_, rows_;
    std::string source_;
    bool interleaved_, phase_, gained_, discrepancy_;
    double amplification_, energy_min_, energy_max_;
    RopeParts parts_;
};

/// theta^(-2 i / dim), i < dim / 2.
std::vector<double> plain_inverse_frequencies(std::int64_t dim, double theta);

} // namespace ergo::moa
