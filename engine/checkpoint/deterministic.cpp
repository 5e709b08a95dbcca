// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/deterministic.h"

namespace ergo {

namespace {
constexpr std::uint64_t golden = 0x9E3779B97F4A7C15u;
}

HashStream::HashStream(std::uint64_t seed, std::string_view name) {
    std::uint64_t hash = 0xCBF29CE484222325u;
    for (const char c : name) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
    }
    key_ = hash ^ (seed * golden);
}

std::uint32_t HashStream::integer(std::uint64_t i) const {
    std::uint64_t x = key_ + (i + 1) * golden;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    x ^= x >> 31;
    return static_cast<std::uint32_t>(x >> 40);
}

void fill_uniform(std::span<float> out, std::uint64_t seed, std::string_view name, double scale,
                  double offset) {
    const HashStream stream(seed, name);
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = static_cast<float>(offset + scale * stream.uniform(i));
    }
}

} // namespace ergo
