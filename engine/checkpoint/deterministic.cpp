// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/checkpoint/deterministic.h"

namespace ergo {

namespace {
constexpr std::uint64_t golden = 0x9E3779B97F4A7C15u;

std::uint64_t fnv1a64(std::string_view name) {
    std::uint64_t hash = 0xCBF29CE484222325u;
    for (const char c : name) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
    }
    return hash;
}
} // namespace

std::uint64_t splitmix64(std::uint64_t z) {
    z += golden;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

HashStream::HashStream(std::uint64_t seed, std::string_view name) : key_(fnv1a64(name) ^ (seed * golden)) {}

std::uint32_t HashStream::integer(std::uint64_t i) const {
    return static_cast<std::uint32_t>(splitmix64(key_ + i * golden) >> 40);
}

CountedStream::CountedStream(std::string_view name, std::uint64_t seed)
    : key_(fnv1a64(name) ^ (seed * golden)) {}

double CountedStream::centred(std::uint64_t k) const {
    return (static_cast<double>(splitmix64(key_ + k) >> 40) + 0.5) / 16777216.0 - 0.5;
}

void fill_uniform(std::span<float> out, std::uint64_t seed, std::string_view name, double scale,
                  double offset) {
    const HashStream stream(seed, name);
    for (std::size_t i = 0; i < out.size(); ++i) {
        out[i] = static_cast<float>(offset + scale * stream.uniform(i));
    }
}

} // namespace ergo
