// SPDX-License-Identifier: GPL-3.0-or-later
// Tiles of rows in pairs of bf16 (AVX-512 BF16's vdpbf16ps) against panels of 32 outputs, and whether a
// processor is faster that way; included by the kernel files that multiply so. Highway does not tell these
// processors apart, so this is written for the one instruction set that it is for.
#if defined(ERGO_CPU_PAIRS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ERGO_CPU_PAIRS_INL_H_
#undef ERGO_CPU_PAIRS_INL_H_
#else
#define ERGO_CPU_PAIRS_INL_H_
#endif

#include "engine/backend/cpu/transpose-inl.h"

#include <hwy/highway.h>

#include <algorithm>
#include <chrono>
#include <cstdint>

#if HWY_TARGET == HWY_AVX3 && HWY_ARCH_X86_64
HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR_AVX3 ",avx512bf16,avx512vnni")
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

/// Inputs [0, count) of a row, at most 32, as 16 pairs; those beyond are 0.
HWY_INLINE __m512i rounded_pairs(const float* in, std::int64_t count) {
    const auto mask = [count](std::int64_t from) {
        const std::int64_t n = std::clamp<std::int64_t>(count - from, 0, width);
        return static_cast<__mmask16>((1u << n) - 1);
    };
    const __m512 low = _mm512_maskz_loadu_ps(mask(0), in);
    const __m512 high = _mm512_maskz_loadu_ps(mask(width), in + (count > width ? width : 0));
    return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

/// How a multiplication reads the weights of 32 outputs, pair by pair: two vectors.
struct Weights {
    __m512bh low, high;
};

/// Laid out as [pair][output].
struct Panel {
    using Stored = std::uint32_t;
    static constexpr std::int64_t stride = tile_outputs;
    Weights read(const Stored* at) const {
        return {reinterpret_cast<__m512bh>(_mm512_load_si512(at)),
                reinterpret_cast<__m512bh>(_mm512_load_si512(at + width))};
    }
    Weights read_half(const Stored* at) const { return read(at); }
};

/// Rows of a tile, `count` of at most 16, as [pair][16]; a last row stands for those that it lacks.
HWY_INLINE void pack_rows(const float* const* rows, std::int64_t count, std::int64_t inputs,
                          std::uint32_t* out) {
    for (std::int64_t i = 0; i < inputs; i += 2 * width) {
        const std::int64_t some = std::min<std::int64_t>(2 * width, inputs - i);
        V v[width];
        for (int r = 0; r < width; ++r) {
            v[r] = as_floats(rounded_pairs(rows[std::min<std::int64_t>(r, count - 1)] + i, some));
        }
        transpose(D(), v);
        for (std::int64_t c = 0; c < pairs_of(some); ++c) {
            _mm512_storeu_si512(out + (i / 2 + c) * width, as_pairs(v[c]));
        }
    }
}

template <int Rows>
HWY_INLINE void add_products(const Weights& weights, const std::uint32_t* in, __m512* sum0, __m512* sum1) {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
        const auto x = reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(in[r])));
        sum0[r] = _mm512_dpbf16_ps(sum0[r], weights.low, x);
        sum1[r] = _mm512_dpbf16_ps(sum1[r], weights.high, x);
    }
}

/// Which inputs of which outputs a multiplication is about.
struct Block {
    std::int64_t whole_pairs;
    bool half_pair; ///< one input more
    std::int64_t output, outputs;
    bool add; ///< to what the outputs hold
};

template <class Source, int Rows>
__attribute__((noinline)) void multiply(const std::uint32_t* in, const typename Source::Stored* weights,
                                        const Block& block, float* const* out) {
    const Source source;
    __m512 sum0[Rows], sum1[Rows];
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
        sum0[r] = sum1[r] = _mm512_setzero_ps();
    }
    for (std::int64_t p = 0; p < block.whole_pairs; ++p, in += width, weights += Source::stride) {
        add_products<Rows>(source.read(weights), in, sum0, sum1);
    }
    if (block.half_pair) {
        add_products<Rows>(source.read_half(weights), in, sum0, sum1);
    }
    const auto mask = [count = block.outputs](std::int64_t from) {
        return static_cast<__mmask16>((1u << std::clamp<std::int64_t>(count - from, 0, width)) - 1);
    };
    const __mmask16 mask0 = mask(0), mask1 = mask(width);
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

template <class Source, int Rows>
void multiply_rows(std::int64_t rows, const std::uint32_t* in, const typename Source::Stored* weights,
                   const Block& block, float* const* out) {
    if constexpr (Rows > 0) {
        rows == Rows ? multiply<Source, Rows>(in, weights, block, out)
                     : multiply_rows<Source, Rows - 1>(rows, in, weights, block, out);
    }
}

/// Multiply-adds of float32, of pairs of bf16, of pairs of whole numbers of 16 bits.
enum class Chain { singles, pairs, words };

template <Chain kind> HWY_INLINE __m512 next_of_chain(__m512 sum) {
    const __m512i some = _mm512_set1_epi32(0x3f803f80); // pairs of 1 in bf16
    if constexpr (kind == Chain::pairs) {
        return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(some), reinterpret_cast<__m512bh>(some));
    } else if constexpr (kind == Chain::words) {
        return _mm512_castsi512_ps(_mm512_dpwssd_epi32(_mm512_castps_si512(sum), some, some));
    } else {
        return _mm512_fmadd_ps(_mm512_set1_ps(1.0f), _mm512_set1_ps(1.0f), sum);
    }
}

// Seconds that some steps of 24 independent chains take.
template <Chain kind> double seconds_of_chains() {
    constexpr int chains = 24, count = 4000;
    __m512 sum[chains];
    for (__m512& each : sum) {
        each = _mm512_setzero_ps();
    }
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) {
#pragma GCC unroll 24
        for (__m512& each : sum) {
            each = next_of_chain<kind>(each);
        }
        __asm__ volatile("" : : "r"(&sum[0]) : "memory");
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Two multiplications must not take as long as two: some processors take the instruction apart.
template <Chain kind> bool are_faster() {
    double pairs = 1, singles = 1;
    for (int round = 0; round < 5; ++round) {
        pairs = std::min(pairs, seconds_of_chains<kind>());
        singles = std::min(singles, seconds_of_chains<Chain::singles>());
    }
    return 2 * singles > 1.3 * pairs;
}

} // namespace ergo::cpu::HWY_NAMESPACE::pairs
HWY_POP_ATTRIBUTES
#endif

#endif // per-target include guard
