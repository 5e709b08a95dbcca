// SPDX-License-Identifier: GPL-3.0-or-later
// Tiles of rows in pairs of whole numbers of 16 bits (AVX-512 VNNI's vpdpwssd), as many multiplications as of
// bf16 and some 8 to 16 times as exact; included by the kernel files that multiply so.
//
// A stretch of some hundred numbers is rounded to whole ones whose squares add up to 32,767 squared. By
// Cauchy and Schwarz no sum of products of two stretches then leaves 32 bits, and such sums are exact.
// Numbers beyond some 1e18, whose squares leave float32, make results that are no numbers.
#if defined(ERGO_CPU_WORDS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ERGO_CPU_WORDS_INL_H_
#undef ERGO_CPU_WORDS_INL_H_
#else
#define ERGO_CPU_WORDS_INL_H_
#endif

#include "engine/backend/cpu/ahead.h"
#include "engine/backend/cpu/pair_tile-inl.h"

#if HWY_TARGET == HWY_AVX3 && HWY_ARCH_X86_64
HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR_AVX3 ",avx512vnni")
namespace ergo::cpu::HWY_NAMESPACE::pairs {

constexpr float stretch_length = 32767; // the root of the sum of squares

/// The pairs of two vectors of whole numbers.
HWY_INLINE __m512i words(__m512 first, __m512 second) {
    const __m512i high = _mm512_slli_epi32(_mm512_cvtps_epi32(second), 16);
    return _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_cvtps_epi32(first), high);
}

/// What numbers of a stretch are multiplied by to become whole ones, given the sum of their squares; 0 of
/// zeros.
HWY_INLINE __m512 scale_to_whole(__m512 squares) {
    const __mmask16 some = _mm512_cmp_ps_mask(squares, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    return _mm512_maskz_div_ps(some, _mm512_set1_ps(stretch_length), _mm512_sqrt_ps(squares));
}
/// And whole numbers, to be the numbers again.
HWY_INLINE __m512 scale_back(__m512 squares) {
    return _mm512_mul_ps(_mm512_sqrt_ps(squares), _mm512_set1_ps(1 / stretch_length));
}

/// A stretch of a tile of rows: scales [16], then [pairs][16].
inline std::int64_t word_tile(std::int64_t inputs) {
    return (1 + pairs_of(inputs)) * width;
}
/// Numbers [first, first + 16) of some of which there are `count`, each multiplied by its factor where there
/// are any; 0 beyond.
HWY_INLINE __m512 numbers(const float* row, const float* factors, std::int64_t first, std::int64_t count) {
    const __mmask16 some = first_lanes(count - first);
    const std::int64_t at = some ? first : 0;
    const __m512 x = _mm512_maskz_loadu_ps(some, row + at);
    return factors ? _mm512_maskz_mul_ps(some, x, _mm512_maskz_loadu_ps(some, factors + at)) : x;
}

HWY_INLINE float sum_of_squares(const float* row, const float* factors, std::int64_t count) {
    __m512 sum = _mm512_setzero_ps();
    for (std::int64_t i = 0; i < count; i += width) {
        const __m512 x = numbers(row, factors, i, count);
        sum = _mm512_fmadd_ps(x, x, sum);
    }
    return _mm512_reduce_add_ps(sum);
}

/// Two times 16 numbers as 16 pairs of whole numbers.
HWY_INLINE __m512i row_words(__m512 first, __m512 second, __m512 scale) {
    const __m256i words0 = _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(_mm512_mul_ps(first, scale)));
    const __m256i words1 = _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(_mm512_mul_ps(second, scale)));
    return _mm512_inserti64x4(_mm512_castsi256_si512(words0), words1, 1);
}

/// Numbers [first, first + count) of the rows of a tile, `rows` of at most 16, as a stretch; a last row
/// stands for those that it lacks. factors: [count] or null.
inline void pack_words(const float* const* rows, std::int64_t many, std::int64_t first, std::int64_t count,
                       const float* factors, std::uint32_t* out) {
    const float* row[width];
    alignas(64) float squares[width];
    for (int r = 0; r < width; ++r) {
        row[r] = rows[std::min<std::int64_t>(r, many - 1)] + first;
        squares[r] = r < many ? sum_of_squares(row[r], factors, count) : squares[many - 1];
    }
    alignas(64) float scale[width];
    _mm512_store_ps(scale, scale_to_whole(_mm512_load_ps(squares)));
    _mm512_storeu_ps(out, scale_back(_mm512_load_ps(squares)));
    out += width;
    for (std::int64_t i = 0; i < count; i += 2 * width) {
        V v[width];
        for (int r = 0; r < width; ++r) {
            v[r] = as_floats(row_words(numbers(row[r], factors, i, count),
                                       numbers(row[r], factors, i + width, count), _mm512_set1_ps(scale[r])));
        }
        transpose(D(), v);
        for (std::int64_t c = 0; c < std::min<std::int64_t>(width, pairs_of(count - i)); ++c) {
            _mm512_storeu_si512(out + (i / 2 + c) * width, as_pairs(v[c]));
        }
    }
}

template <int Rows>
HWY_INLINE void add_words(__m512i low, __m512i high, const std::uint32_t* in, __m512* sum0, __m512* sum1) {
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
        const __m512i x = _mm512_set1_epi32(static_cast<int>(in[r]));
        sum0[r] = _mm512_castsi512_ps(_mm512_dpwssd_epi32(_mm512_castps_si512(sum0[r]), low, x));
        sum1[r] = _mm512_castsi512_ps(_mm512_dpwssd_epi32(_mm512_castps_si512(sum1[r]), high, x));
    }
}

HWY_INLINE __m512 whole(__m512 sum) {
    __asm__("" : "+v"(sum)); // else compilers keep the sums in memory as well, which this could read
    return _mm512_cvtepi32_ps(_mm512_castps_si512(sum));
}

/// A stretch of a tile of rows with one of 32 outputs, [pairs][32], whose whole numbers stand for as much as
/// `scales` [32] says.
template <int Rows>
__attribute__((noinline)) void multiply_words(const std::uint32_t* tile, const std::uint32_t* weights,
                                              const float* scales, std::int64_t pairs, const Ahead& ahead,
                                              std::int64_t share_of_ahead, const Block& block,
                                              float* const* out) {
    AheadShare share = ahead.share(share_of_ahead);
    const std::int64_t lines = share.each_of(pairs / ahead_step);
    const auto* back = reinterpret_cast<const float*>(tile);
    const std::uint32_t* in = tile + width;
    __m512 sum0[Rows], sum1[Rows]; // of whole numbers
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
        sum0[r] = sum1[r] = _mm512_setzero_ps();
    }
    for (std::int64_t p = 0; p < pairs; ++p, in += width, weights += tile_outputs) {
        if (p % ahead_step == 0) {
            share.fetch(lines);
        }
        add_words<Rows>(_mm512_load_si512(weights), _mm512_load_si512(weights + width), in, sum0, sum1);
    }
    const __m512 scale0 = _mm512_load_ps(scales), scale1 = _mm512_load_ps(scales + width);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
        const __m512 scale = _mm512_set1_ps(back[r]);
        sum0[r] = _mm512_mul_ps(whole(sum0[r]), _mm512_mul_ps(scale, scale0));
        sum1[r] = _mm512_mul_ps(whole(sum1[r]), _mm512_mul_ps(scale, scale1));
    }
    store_sums<Rows>(block, sum0, sum1, out);
}

/// Arguments go by reference: a block copied here would be read back before the stores of the tile before,
/// and wait until all those have left.
template <int Rows = tile_rows, class... Args>
void multiply_words_of(std::int64_t rows, const Args&... args) {
    if constexpr (Rows > 0) {
        rows == Rows ? multiply_words<Rows>(args...) : multiply_words_of<Rows - 1>(rows, args...);
    }
}

} // namespace ergo::cpu::HWY_NAMESPACE::pairs
HWY_POP_ATTRIBUTES
#endif

#endif // per-target include guard
