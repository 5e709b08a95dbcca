// SPDX-License-Identifier: GPL-3.0-or-later
// What products in pairs of 16 bits have in common on AVX-512, two multiplications a lane: tiles of rows
// against panels of 32 outputs, and whether a processor is faster that way. Included by the kernel files that
// multiply so. Highway does not tell the processors apart that can, so they are written for the one
// instruction set that they are for.
#if defined(ERGO_CPU_PAIR_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ERGO_CPU_PAIR_TILE_INL_H_
#undef ERGO_CPU_PAIR_TILE_INL_H_
#else
#define ERGO_CPU_PAIR_TILE_INL_H_
#endif

#include "engine/backend/cpu/transpose-inl.h"

#include <hwy/highway.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

#if HWY_TARGET == HWY_AVX3 && HWY_ARCH_X86_64
HWY_BEFORE_NAMESPACE();
namespace ergo::cpu::HWY_NAMESPACE::pairs {

using D = hwy::HWY_NAMESPACE::ScalableTag<float>; // 16 pairs, moved as if each were a float
using V = hwy::HWY_NAMESPACE::Vec<D>;

constexpr int tile_rows = 14, tile_outputs = 32; // 28 sums, 2 weights and 1 input of 32 registers
constexpr int width = 16;                        // pairs of a vector

inline std::int64_t pairs_of(std::int64_t inputs) {
    return (inputs + 1) / 2;
}

HWY_INLINE V as_floats(__m512i v) {
    return V{_mm512_castsi512_ps(v)};
}
HWY_INLINE __m512i as_pairs(V v) {
    return _mm512_castps_si512(v.raw);
}

/// Of 16 lanes the first `count`, which may be less than none or more than all.
HWY_INLINE __mmask16 first_lanes(std::int64_t count) {
    return static_cast<__mmask16>((1u << std::clamp<std::int64_t>(count, 0, width)) - 1);
}

/// Which outputs a tile is multiplied for, of how many there are.
struct Block {
    std::int64_t output, outputs;
    bool add; ///< to what the outputs hold
};

/// sum0, sum1: [Rows] vectors of outputs.
template <int Rows>
HWY_INLINE void store_sums(const Block& block, __m512* sum0, __m512* sum1, float* const* out) {
    if (block.outputs >= tile_outputs) {
#pragma GCC unroll 16
        for (int r = 0; r < Rows; ++r) {
            float* to = out[r] + block.output;
            if (block.add) {
                sum0[r] = _mm512_add_ps(_mm512_loadu_ps(to), sum0[r]);
                sum1[r] = _mm512_add_ps(_mm512_loadu_ps(to + width), sum1[r]);
            }
            _mm512_storeu_ps(to, sum0[r]);
            _mm512_storeu_ps(to + width, sum1[r]);
        }
        return;
    }
    const __mmask16 mask0 = first_lanes(block.outputs), mask1 = first_lanes(block.outputs - width);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
        float* to = out[r] + block.output;
        if (block.add) {
            sum0[r] = _mm512_add_ps(_mm512_maskz_loadu_ps(mask0, to), sum0[r]);
            sum1[r] = _mm512_add_ps(_mm512_maskz_loadu_ps(mask1, to + width), sum1[r]);
        }
        _mm512_mask_storeu_ps(to, mask0, sum0[r]);
        _mm512_mask_storeu_ps(to + width, mask1, sum1[r]);
    }
}

/// Multiply-adds of float32, of pairs of bf16, of pairs of whole numbers of 16 bits, and of such where two of
/// three chains take a multiplication and two additions for two multiplications.
enum class Chain { singles, bf16, words, crossed };

/// Multiplications of a lane in a step of a chain.
constexpr int products_of(Chain kind) {
    return kind == Chain::singles ? 1 : kind == Chain::crossed ? 4 : 2;
}

template <Chain kind> HWY_INLINE void next_of_chain(int chain, __m512& sum, __m512 some) {
    // by name: this code is not compiled for what it asks about
    if constexpr (kind == Chain::bf16) {
        __asm__("vdpbf16ps %1, %1, %0" : "+v"(sum) : "v"(some));
    } else if constexpr (kind == Chain::words) {
        __asm__("vpdpwssd %1, %1, %0" : "+v"(sum) : "v"(some));
    } else if constexpr (kind == Chain::singles) {
        __asm__("vfmadd231ps %1, %1, %0" : "+v"(sum) : "v"(some));
    } else if (chain % 3 == 0) {
        __asm__("vpdpwssd %1, %1, %0\n\tvpdpwssd %1, %1, %0" : "+v"(sum) : "v"(some));
    } else {
        __m512 first, second;
        __asm__("vpaddw %3, %3, %1\n\tvpaddw %3, %3, %2\n\tvpdpwssd %1, %2, %0"
                : "+v"(sum), "=&v"(first), "=&v"(second)
                : "v"(some));
    }
}

// Seconds that some multiplications of 24 independent chains take.
template <Chain kind> double seconds_of_chains() {
    constexpr int chains = 24, count = 8000 / products_of(kind);
    const __m512 some = _mm512_castsi512_ps(_mm512_set1_epi32(0x3f803f80)); // pairs of 1 in bf16
    __m512 sum[chains];
#pragma GCC unroll 24
    for (__m512& each : sum) {
        each = _mm512_setzero_ps();
    }
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) {
#pragma GCC unroll 24
        for (int chain = 0; chain < chains; ++chain) {
            next_of_chain<kind>(chain, sum[chain], some);
        }
    }
#pragma GCC unroll 24
    for (__m512& each : sum) {
        __asm__ volatile("" : : "v"(each));
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Clearly, so that the answer does not hang on the moment: some processors take such instructions apart.
template <Chain kind, Chain other> bool are_faster() {
    double seconds = 1, others = 1;
    for (int round = 0; round < 5; ++round) {
        seconds = std::min(seconds, seconds_of_chains<kind>());
        others = std::min(others, seconds_of_chains<other>());
    }
    return others > 1.3 * seconds;
}

} // namespace ergo::cpu::HWY_NAMESPACE::pairs
HWY_AFTER_NAMESPACE();
#endif

#endif // per-target include guard
