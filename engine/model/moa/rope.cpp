// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/moa/rope.h"

#include "engine/base/error.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

namespace ergo::moa {

namespace {

std::vector<double> doubles(const RoleMap& roles, const std::string& role) {
    if (!roles.has(role)) {
        return {};
    }
    const std::vector<float> values = roles.at(role).to_floats();
    return {values.begin(), values.end()};
}

std::size_t index(std::int64_t i) {
    return static_cast<std::size_t>(i);
}

/// sum_r basis[r] * coef[r, i] for every pair i. [dim / 2]
std::vector<double> series(const std::vector<double>& basis, const std::vector<double>& coef,
                           std::size_t pairs) {
    std::vector<double> out(pairs, 0.0);
    for (std::size_t r = 0; r < basis.size() && !coef.empty(); ++r) {
        for (std::size_t i = 0; i < pairs; ++i) {
            out[i] += basis[r] * coef[r * pairs + i];
        }
    }
    return out;
}

/// b_2j(t) = cos(2 pi (j + 1) t / P), b_2j+1(t) = sin(same); (j + 1) t is reduced modulo P in integers.
std::vector<double> fourier_basis(std::int64_t t, std::size_t terms, std::int64_t period) {
    std::vector<double> out(terms);
    for (std::size_t j = 0; j < terms / 2; ++j) {
        const std::int64_t turns = ((static_cast<std::int64_t>(j) + 1) * t) % period;
        const double angle = 2 * std::numbers::pi * static_cast<double>(turns) / static_cast<double>(period);
        out[2 * j] = std::cos(angle);
        out[2 * j + 1] = std::sin(angle);
    }
    return out;
}

} // namespace

std::vector<double> plain_inverse_frequencies(std::int64_t dim, double theta) {
    std::vector<double> out(index(dim / 2));
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = std::pow(theta, -2.0 * static_cast<double>(i) / static_cast<double>(dim));
    }
    return out;
}

RopeParts RopeParts::read(const RoleMap& roles, const std::string& prefix, bool with_tables) {
    RopeParts parts;
    parts.inv_freq = doubles(roles, prefix + "inv_freq");
    parts.phase_bias = doubles(roles, prefix + "phase_bias");
    parts.phase_coef = doubles(roles, prefix + "phase_coef");
    parts.energy_coef = doubles(roles, prefix + "energy_coef");
    parts.disc_coef = doubles(roles, prefix + "disc_coef");
    if (with_tables && roles.has(prefix + "cos_cached")) {
        parts.cos = roles.at(prefix + "cos_cached").to_floats();
        parts.sin = roles.at(prefix + "sin_cached").to_floats();
        parts.gain = roles.at(prefix + "gain_cached").to_floats();
    }
    return parts;
}

Rope::Rope(const Config& config, const Semantics& semantics, std::int64_t dim, RopeParts parts)
    : dim_(dim), period_(semantics.basis_period ? semantics.basis_period : config.max_seq_len_cached),
      rows_(config.max_seq_len_cached), source_(semantics.rope_source),
      interleaved_(semantics.rope_pairing == "interleaved"), phase_(semantics.phase),
      gained_(semantics.v_energy && config.enable_v_energy),
      discrepancy_(semantics.discrepancy == "coef" && config.discrepancy_modulation),
      amplification_(config.energy_amplification), energy_min_(semantics.energy_min),
      energy_max_(semantics.energy_max), parts_(std::move(parts)) {
    if (source_ == "plain") {
        parts_ = {};
        parts_.inv_freq = plain_inverse_frequencies(dim, config.theta_base);
        phase_ = gained_ = false;
    }
}

std::int64_t Rope::limit() const {
    return source_ == "tables" ? rows_ : std::numeric_limits<std::int64_t>::max();
}

bool Rope::has_gain() const {
    const auto any = [](const auto& values, double usual) {
        return std::any_of(values.begin(), values.end(), [usual](double v) { return v != usual; });
    };
    if (!gained_ || source_ == "none") {
        return false;
    }
    return source_ == "tables" ? any(parts_.gain, 1.0)
                               : any(parts_.energy_coef, 0.0) || energy_min_ > 1 || energy_max_ < 1;
}

void Rope::widen(const std::vector<double>& pairs, std::int64_t count, std::vector<double>& out) const {
    const std::size_t half = index(dim_ / 2);
    out.resize(index(count * dim_));
    for (std::size_t t = 0; t < index(count); ++t) {
        for (std::size_t i = 0; i < half; ++i) {
            const double x = pairs[t * half + i];
            double* row = out.data() + t * 2 * half;
            row[interleaved_ ? 2 * i : i] = x;
            row[interleaved_ ? 2 * i + 1 : i + half] = x;
        }
    }
}

RopeTables Rope::at(std::int64_t begin, std::int64_t count) const {
    if (begin < 0 || count < 0 || begin > limit() - count) {
        throw Error(ErrorKind::usage, "positions " + std::to_string(begin) + " … " +
                                          std::to_string(begin + count) + " lie beyond the " +
                                          std::to_string(limit()) + " stored rotary positions");
    }
    if (source_ == "tables") {
        return stored(begin, count);
    }
    if (source_ == "none") {
        RopeTables out;
        out.cos.assign(index(count * dim_), 1.0);
        out.sin.assign(index(count * dim_), 0.0);
        out.gain.assign(index(count * dim_), 1.0);
        out.phase.assign(index(count * dim_ / 2), 0.0);
        return out;
    }
    return synthesised(begin, count);
}

RopeTables Rope::synthesised(std::int64_t begin, std::int64_t count) const {
    const std::size_t half = index(dim_ / 2), terms = half ? parts_.phase_coef.size() / half : 0;
    std::vector<double> cosine(index(count) * half), sine(cosine.size()), gain(cosine.size(), 1.0);
    RopeTables out;
    out.phase.assign(cosine.size(), 0.0);
    for (std::int64_t row = 0; row < count; ++row) {
        const std::int64_t t = begin + row;
        const std::size_t at = index(row) * half;
        const auto basis = fourier_basis(t, terms, period_);
        if (phase_) {
            const auto learned = series(basis, parts_.phase_coef, half);
            for (std::size_t i = 0; i < half; ++i) {
                out.phase[at + i] = parts_.phase_bias[i] + learned[i];
            }
        }
        if (gained_) {
            const auto energy = series(basis, parts_.energy_coef, half);
            const auto modulation =
                discrepancy_ ? series(basis, parts_.disc_coef, half) : std::vector<double>(half, 0.0);
            for (std::size_t i = 0; i < half; ++i) {
                const double e = amplification_ * energy[i] * (1 + std::tanh(modulation[i]));
                gain[at + i] = std::clamp(1 + e, energy_min_, energy_max_);
            }
        }
        for (std::size_t i = 0; i < half; ++i) {
            const double angle = static_cast<double>(t) * parts_.inv_freq[i] + out.phase[at + i];
            cosine[at + i] = std::cos(angle);
            sine[at + i] = std::sin(angle);
        }
    }
    widen(cosine, count, out.cos);
    widen(sine, count, out.sin);
    widen(gain, count, out.gain);
    return out;
}

RopeTables Rope::stored(std::int64_t begin, std::int64_t count) const {
    const auto rows = [&](const std::vector<float>& table) {
        return std::vector<double>(table.begin() + begin * dim_, table.begin() + (begin + count) * dim_);
    };
    RopeTables out{rows(parts_.cos), rows(parts_.sin), {}, {}};
    out.gain = gained_ ? rows(parts_.gain) : std::vector<double>(index(count * dim_), 1.0);
    const std::size_t half = index(dim_ / 2);
    out.phase.resize(index(count) * half);
    for (std::size_t row = 0; row < index(count); ++row) {
        for (std::size_t i = 0; i < half; ++i) {
            const std::size_t column = row * 2 * half + (interleaved_ ? 2 * i : i);
            const double turned =
                std::atan2(out.sin[column], out.cos[column]) -
                static_cast<double>(begin + static_cast<std::int64_t>(row)) * parts_.inv_freq[i];
            out.phase[row * half + i] =
                turned - 2 * std::numbers::pi * std::nearbyint(turned / (2 * std::numbers::pi));
        }
    }
    return out;
}

} // namespace ergo::moa
