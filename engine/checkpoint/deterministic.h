// SPDX-License-Identifier: GPL-3.0-or-later
// Reproducible numbers from a seed and a name, bit for bit the same in any language: FNV-1a of the name, then
// the splitmix64 finaliser. For test weights that need no file. Pure functions, any thread. Source: MoA
// specification §6.11.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace ergo {

/// Stream of one (seed, name): key = FNV-1a-64(name) xor (seed * 0x9E3779B97F4A7C15).
class HashStream {
  public:
    HashStream(std::uint64_t seed, std::string_view name);

    /// Element i as a 24-bit integer: mix(key + (i + 1) * 0x9E3779B97F4A7C15) >> 40.
    std::uint32_t integer(std::uint64_t i) const;
    /// integer(i) / 2^23 - 1, in [-1, 1), exact in float32.
    double uniform(std::uint64_t i) const { return static_cast<double>(integer(i)) / 8388608.0 - 1.0; }

  private:
    std::uint64_t key_;
};

/// The finaliser itself: mixes z + 0x9E3779B97F4A7C15.
std::uint64_t splitmix64(std::uint64_t z);

/// Element k of NAME in (-0.5, 0.5): ((splitmix64(key + k) >> 40) + 0.5) / 2^24 - 0.5 with HashStream's key.
/// Another numbering than HashStream's; with seed 0 that of Kotodama specification appendix B.
class CountedStream {
  public:
    explicit CountedStream(std::string_view name, std::uint64_t seed = 0);
    double centred(std::uint64_t k) const;

  private:
    std::uint64_t key_;
};

/// out[i] = offset + scale * uniform(i), computed in float64 and rounded once.
void fill_uniform(std::span<float> out, std::uint64_t seed, std::string_view name, double scale = 1.0,
                  double offset = 0.0);

} // namespace ergo
