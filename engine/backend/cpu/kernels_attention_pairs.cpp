// SPDX-License-Identifier: GPL-3.0-or-later
// Attention of many rows, two multiplications a lane: dot products over pairs of channels, weighted values
// over pairs of positions, both as kernels_pairs.cpp multiplies a tile of rows with panels. Weights and
// values are bf16. Scores stand in an exponent, where bf16 costs most of what it costs altogether: queries
// and keys are whole numbers of 16 bits, of which vpdpwssd multiplies as many.
#include "engine/backend/cpu/kernels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/kernels_attention_pairs.cpp"
// clang-format off
#include <hwy/foreach_target.h> // must come before highway.h
#include <hwy/highway.h>
#include "engine/backend/cpu/pairs-inl.h"
#include "engine/backend/cpu/state-inl.h"
// clang-format on

#if HWY_TARGET == HWY_AVX3 && HWY_ARCH_X86_64
HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR_AVX3 ",avx512bf16,avx512vnni")
namespace ergo::cpu::HWY_NAMESPACE::pairs {

static_assert(pair_queries == tile_rows && pair_group == tile_outputs);

/// The first numbers of 16 pairs and the second ones, rounded and brought together.
HWY_INLINE __m512i together(V first, V second) {
    alignas(64) static constexpr std::uint16_t order[] = {0,  16, 1,  17, 2,  18, 3,  19, 4,  20, 5,
                                                          21, 6,  22, 7,  23, 8,  24, 9,  25, 10, 26,
                                                          11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    const auto rounded = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(second.raw, first.raw));
    return _mm512_permutexvar_epi16(_mm512_load_si512(order), rounded);
}

/// A row of whole numbers has this length: no product of two rows then leaves 32 bits.
constexpr float length = 32767;

HWY_INLINE __m512i words(__m512 first, __m512 second) {
    const __m512i high = _mm512_slli_epi32(_mm512_cvtps_epi32(second), 16);
    return _mm512_mask_blend_epi16(0xaaaaaaaa, _mm512_cvtps_epi32(first), high);
}

/// What numbers of a row are multiplied by to become whole ones, given the sum of their squares; 0 of zeros.
HWY_INLINE __m512 scale_to_whole(__m512 squares) {
    const __mmask16 some = _mm512_cmp_ps_mask(squares, _mm512_setzero_ps(), _CMP_NEQ_UQ);
    return _mm512_maskz_div_ps(some, _mm512_set1_ps(length), _mm512_sqrt_ps(squares));
}
HWY_INLINE __m512 scale_back(__m512 squares) {
    return _mm512_mul_ps(_mm512_sqrt_ps(squares), _mm512_set1_ps(1 / length));
}

/// A group of keys is [pairs, 32] and the scales of its positions.
std::int64_t group_pairs(std::int64_t dim) {
    return (pairs_of(dim) + 1) * pair_group;
}

template <DType type> void keys_of(const std::byte* block, std::int64_t dim, std::uint32_t* out) {
    const D d;
    for (std::int64_t at = 0; at < state_block; at += pair_group, out += group_pairs(dim)) {
        __m512 squares[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, scale[2];
        BlockReader<type, 2, D> lengths(block, dim, at), keys(block, dim, at);
        for (std::int64_t c = 0; c < dim; ++c) {
            V k[2];
            lengths.read(d, c, k);
            squares[0] = _mm512_fmadd_ps(k[0].raw, k[0].raw, squares[0]);
            squares[1] = _mm512_fmadd_ps(k[1].raw, k[1].raw, squares[1]);
        }
        for (int u = 0; u < 2; ++u) {
            scale[u] = scale_to_whole(squares[u]);
            _mm512_store_ps(out + pairs_of(dim) * pair_group + u * width, scale_back(squares[u]));
        }
        for (std::int64_t c = 0; c < dim; c += 2) {
            V first[2], second[2] = {hwy::HWY_NAMESPACE::Zero(d), hwy::HWY_NAMESPACE::Zero(d)};
            keys.read(d, c, first);
            if (c + 1 < dim) {
                keys.read(d, c + 1, second);
            }
            for (int u = 0; u < 2; ++u) {
                _mm512_store_si512(
                    out + c / 2 * pair_group + u * width,
                    words(_mm512_mul_ps(first[u].raw, scale[u]), _mm512_mul_ps(second[u].raw, scale[u])));
            }
        }
    }
}

__mmask16 first_lanes(std::int64_t count) {
    return static_cast<__mmask16>((1u << std::clamp<std::int64_t>(count, 0, width)) - 1);
}

float sum_of_squares(const float* row, std::int64_t count) {
    __m512 sum = _mm512_setzero_ps();
    for (std::int64_t i = 0; i < count; i += width) {
        const __m512 x = _mm512_maskz_loadu_ps(first_lanes(count - i), row + i);
        sum = _mm512_fmadd_ps(x, x, sum);
    }
    return _mm512_reduce_add_ps(sum);
}

/// Queries as [pair][16] of whole numbers, and what those are multiplied by to be the queries again.
void pack_queries(const PairTile& a, std::uint32_t* out, float* back) {
    __m512 scale[width];
    for (int r = 0; r < width; ++r) {
        const __m512 squares = _mm512_set1_ps(sum_of_squares(a.query[std::min(r, a.queries - 1)], a.dim));
        scale[r] = scale_to_whole(squares);
        back[r] = _mm512_cvtss_f32(scale_back(squares));
    }
    for (std::int64_t c = 0; c < a.dim; c += 2 * width) {
        V v[width];
        for (int r = 0; r < width; ++r) {
            const float* from = a.query[std::min(r, a.queries - 1)] + c;
            const __mmask16 low = first_lanes(a.dim - c), high = first_lanes(a.dim - c - width);
            const __m512 first = _mm512_maskz_loadu_ps(low, from);
            const __m512 second = _mm512_maskz_loadu_ps(high, from + (high ? width : 0));
            const __m256i words0 = _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(_mm512_mul_ps(first, scale[r])));
            const __m256i words1 = _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(_mm512_mul_ps(second, scale[r])));
            v[r] = as_floats(_mm512_inserti64x4(_mm512_castsi256_si512(words0), words1, 1));
        }
        transpose(D(), v);
        for (std::int64_t p = 0; p < std::min<std::int64_t>(width, pairs_of(a.dim - c)); ++p) {
            _mm512_store_si512(out + (c / 2 + p) * width, as_pairs(v[p]));
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

/// Scores of a group of keys: to[r][0, 32).
template <int Rows>
__attribute__((noinline)) void multiply_words(const std::uint32_t* in, const float* back,
                                              const std::uint32_t* keys, std::int64_t pairs,
                                              float* const* out, std::int64_t at) {
    __m512 sum0[Rows], sum1[Rows]; // of whole numbers
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
        sum0[r] = sum1[r] = _mm512_setzero_ps();
    }
    for (std::int64_t p = 0; p < pairs; ++p, in += width, keys += pair_group) {
        add_words<Rows>(_mm512_load_si512(keys), _mm512_load_si512(keys + width), in, sum0, sum1);
    }
    const __m512 scale0 = _mm512_load_ps(keys), scale1 = _mm512_load_ps(keys + width);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
        const __m512 scale = _mm512_set1_ps(back[r]);
        float* const to = out[r] + at;
        _mm512_storeu_ps(to, _mm512_mul_ps(whole(sum0[r]), _mm512_mul_ps(scale, scale0)));
        _mm512_storeu_ps(to + width, _mm512_mul_ps(whole(sum1[r]), _mm512_mul_ps(scale, scale1)));
    }
}

template <int Rows, class... Args> void multiply_words_of(int rows, Args... args) {
    if constexpr (Rows > 0) {
        rows == Rows ? multiply_words<Rows>(args...) : multiply_words_of<Rows - 1>(rows, args...);
    }
}

template <DType type>
void values_of(const PairValues& a, std::int64_t first, std::int64_t last, std::uint32_t* out) {
    const D d;
    for (std::int64_t j = first; j < last; j += 2) {
        const std::byte* row = a.values + j * a.stride;
        for (std::int64_t c = 0; c < a.channels; c += width) {
            const V even = read_row<type>(d, row, a.channels, c);
            const V odd =
                j + 1 < last ? read_row<type>(d, row + a.stride, a.channels, c) : hwy::HWY_NAMESPACE::Zero(d);
            const std::int64_t at = c / pair_group * (a.positions / 2) + j / 2;
            _mm512_store_si512(out + at * pair_group + c % pair_group, together(even, odd));
        }
    }
}

const std::uint32_t* pairs_at(const float* laid_out) {
    return reinterpret_cast<const std::uint32_t*>(laid_out);
}

void scores_of(const PairTile& a, std::int64_t first, std::int64_t end) {
    auto* const queries = reinterpret_cast<std::uint32_t*>(a.packed);
    const std::int64_t pairs = pairs_of(a.dim);
    float back[width];
    pack_queries(a, queries, back);
    for (std::int64_t j = first; j < end; j += pair_group) {
        multiply_words_of<tile_rows>(a.queries, queries, back,
                                     pairs_at(a.keys) + j / pair_group * group_pairs(a.dim), pairs, a.scores,
                                     j - first);
    }
}

void weighted_of(const PairTile& a, std::int64_t first, std::int64_t end) {
    auto* const weights = reinterpret_cast<std::uint32_t*>(a.packed);
    pack_rows(a.scores, a.queries, end - first, weights);
    for (std::int64_t c = 0; c < a.channels; c += pair_group) {
        const std::int64_t at = c / pair_group * (a.positions / 2) + first / 2;
        multiply_rows<Panel, tile_rows>(a.queries, weights, pairs_at(a.values) + at * pair_group,
                                        {pairs_of(end - first), false, c, a.channels - c, false}, a.out);
    }
    for (int q = 0; q < a.queries; ++q) {
        const __m512 factor = _mm512_set1_ps(a.factor[q]);
        for (std::int64_t c = 0; c < a.channels; c += width) {
            _mm512_storeu_ps(a.out[q] + c, _mm512_mul_ps(factor, _mm512_loadu_ps(a.out[q] + c)));
        }
    }
}

} // namespace ergo::cpu::HWY_NAMESPACE::pairs
HWY_POP_ATTRIBUTES
#define ERGO_HAVE_ATTENTION_PAIRS 1
namespace ergo::cpu {

namespace pairs = HWY_NAMESPACE::pairs;

bool has_attention_pairs() {
    if (!has_bf16_pairs()) {
        return false;
    }
    static const bool faster = pairs::are_faster<pairs::Chain::words>();
    return faster;
}
void pair_keys(DType type, const std::byte* block, std::int64_t dim, float* out) {
    auto* const to = reinterpret_cast<std::uint32_t*>(out);
    type == DType::bf16 ? pairs::keys_of<DType::bf16>(block, dim, to)
    : type == DType::q8 ? pairs::keys_of<DType::q8>(block, dim, to)
                        : pairs::keys_of<DType::f32>(block, dim, to);
}
void pair_values(const PairValues& args, std::int64_t first, std::int64_t last, float* out) {
    auto* const to = reinterpret_cast<std::uint32_t*>(out);
    args.type == DType::bf16 ? pairs::values_of<DType::bf16>(args, first, last, to)
    : args.type == DType::q8 ? pairs::values_of<DType::q8>(args, first, last, to)
                             : pairs::values_of<DType::f32>(args, first, last, to);
}
void pair_scores(const PairTile& tile, std::int64_t first, std::int64_t end) {
    pairs::scores_of(tile, first, end);
}
void pair_weighted_values(const PairTile& tile, std::int64_t first, std::int64_t end) {
    pairs::weighted_of(tile, first, end);
}

} // namespace ergo::cpu
#endif

#if HWY_ONCE && !defined(ERGO_HAVE_ATTENTION_PAIRS) // and nobody calls the others
namespace ergo::cpu {

bool has_attention_pairs() {
    return false;
}
void pair_keys(DType /*type*/, const std::byte* /*block*/, std::int64_t /*dim*/, float* /*out*/) {}
void pair_values(const PairValues& /*args*/, std::int64_t /*first*/, std::int64_t /*last*/, float* /*out*/) {}
void pair_scores(const PairTile& /*tile*/, std::int64_t /*first*/, std::int64_t /*end*/) {}
void pair_weighted_values(const PairTile& /*tile*/, std::int64_t /*first*/, std::int64_t /*end*/) {}

} // namespace ergo::cpu
#endif
