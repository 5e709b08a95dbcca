// SPDX-License-Identifier: GPL-3.0-or-later
// Attention of many rows in whole numbers of 16 bits, two multiplications a lane: dot products over pairs of
// channels, weighted values over pairs of positions, both as kernels_words.cpp multiplies a tile of rows.
#include "engine/backend/cpu/kernels.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/kernels_attention_pairs.cpp"
// clang-format off
#include <hwy/foreach_target.h> // must come before highway.h
#include <hwy/highway.h>
#include "engine/backend/cpu/state-inl.h"
#include "engine/backend/cpu/words-inl.h"
// clang-format on

#if HWY_TARGET == HWY_AVX3 && HWY_ARCH_X86_64
HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR_AVX3 ",avx512vnni")
namespace ergo::cpu::HWY_NAMESPACE::pairs {

static_assert(pair_queries == tile_rows && pair_group == tile_outputs);

/// A position of values is rounded to whole numbers up to this one, and a weight multiplied by what they
/// stand for before it is rounded itself: a later position then moves nothing of an earlier row. Squares of a
/// block of positions then add up to at most 32,767 squared too.
constexpr float most_of_values = 4095;
static_assert(state_block * 4095 * 4095 <= std::int64_t{32767} * 32767);

template <DType type> void keys_of(const std::byte* block, std::int64_t dim, std::uint32_t* out) {
    const D d;
    for (std::int64_t at = 0; at < state_block; at += pair_group, out += pair_key_floats(pair_group, dim)) {
        __m512 squares[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, scale[2];
        BlockReader<type, 2, D> lengths(block, at), keys(block, at);
        for (std::int64_t c = 0; c < dim; ++c) {
            V k[2];
            lengths.read(d, c, k);
            squares[0] = _mm512_fmadd_ps(k[0].raw, k[0].raw, squares[0]);
            squares[1] = _mm512_fmadd_ps(k[1].raw, k[1].raw, squares[1]);
        }
        for (int u = 0; u < 2; ++u) {
            scale[u] = scale_to_whole(squares[u]);
            _mm512_store_ps(out + u * width, scale_back(squares[u]));
        }
        for (std::int64_t c = 0; c < dim; c += 2) {
            V first[2], second[2] = {hwy::HWY_NAMESPACE::Zero(d), hwy::HWY_NAMESPACE::Zero(d)};
            keys.read(d, c, first);
            if (c + 1 < dim) {
                keys.read(d, c + 1, second);
            }
            for (int u = 0; u < 2; ++u) {
                _mm512_store_si512(
                    out + (1 + c / 2) * pair_group + u * width,
                    words(_mm512_mul_ps(first[u].raw, scale[u]), _mm512_mul_ps(second[u].raw, scale[u])));
            }
        }
    }
}

template <DType type> float largest_of(const std::byte* row, std::int64_t channels) {
    __m512 largest = _mm512_setzero_ps();
    for (std::int64_t c = 0; c < channels; c += width) {
        largest = _mm512_max_ps(largest, _mm512_abs_ps(read_row<type>(D(), row, channels, c).raw));
    }
    return _mm512_reduce_max_ps(largest);
}

/// Floats of a block of values: what its positions' whole numbers stand for, then [channels / 32, pairs, 32].
std::int64_t value_block(std::int64_t channels) {
    return pair_value_floats(state_block, channels);
}

template <DType type>
void values_of(const PairValues& a, std::int64_t first, std::int64_t last, std::uint32_t* out) {
    const D d;
    out += first / state_block * value_block(a.channels);
    auto* const back = reinterpret_cast<float*>(out);
    out += state_block;
    float scale[state_block];
    for (std::int64_t j = first; j < last; ++j) {
        const float largest = largest_of<type>(a.values + j * a.stride, a.channels);
        back[j - first] = largest / most_of_values;
        scale[j - first] = largest > 0 ? most_of_values / largest : 0;
    }
    for (std::int64_t j = first; j < last; j += 2, out += pair_group) {
        const std::byte* row = a.values + j * a.stride;
        const bool both = j + 1 < last;
        const __m512 scale0 = _mm512_set1_ps(scale[j - first]);
        const __m512 scale1 = _mm512_set1_ps(both ? scale[j + 1 - first] : 0);
        for (std::int64_t c = 0; c < a.channels; c += width) {
            const V even = read_row<type>(d, row, a.channels, c);
            const V odd =
                both ? read_row<type>(d, row + a.stride, a.channels, c) : hwy::HWY_NAMESPACE::Zero(d);
            _mm512_store_si512(out + c / pair_group * (state_block / 2 * pair_group) + c % pair_group,
                               words(_mm512_mul_ps(even.raw, scale0), _mm512_mul_ps(odd.raw, scale1)));
        }
    }
}

const std::uint32_t* pairs_at(const float* laid_out) {
    return reinterpret_cast<const std::uint32_t*>(laid_out);
}

void scores_of(const PairTile& a, std::int64_t first, std::int64_t end) {
    auto* const queries = reinterpret_cast<std::uint32_t*>(a.packed);
    pack_words(a.query, a.queries, 0, a.dim, nullptr, queries);
    for (std::int64_t j = first; j < end; j += pair_group) {
        const float* group = a.keys + j / pair_group * pair_key_floats(pair_group, a.dim);
        multiply_words_of(a.queries, queries, pairs_at(group) + pair_group, group, pairs_of(a.dim), Ahead(),
                          0, Block{j - first, pair_group, false}, a.scores);
    }
}

void weighted_of(const PairTile& a, std::int64_t first, std::int64_t end) {
    alignas(64) float ones[tile_outputs];
    std::fill(ones, ones + tile_outputs, 1.0f);
    auto* const weights = reinterpret_cast<std::uint32_t*>(a.packed);
    for (std::int64_t j = first; j < end; j += state_block) {
        const std::int64_t count = std::min(state_block, end - j);
        const float* block = a.values + j / state_block * value_block(a.channels);
        pack_words(a.scores, a.queries, j - first, count, block, weights);
        const std::uint32_t* values = pairs_at(block) + state_block;
        for (std::int64_t c = 0; c < a.channels; c += pair_group, values += state_block / 2 * pair_group) {
            multiply_words_of(a.queries, weights, values, ones, pairs_of(count), Ahead(), 0,
                              Block{c, a.channels - c, j > first}, a.out);
        }
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

#if HWY_ONCE && !defined(ERGO_HAVE_ATTENTION_PAIRS) // nobody calls them: there are no word_pairs()
namespace ergo::cpu {

void pair_keys(DType /*type*/, const std::byte* /*block*/, std::int64_t /*dim*/, float* /*out*/) {}
void pair_values(const PairValues& /*args*/, std::int64_t /*first*/, std::int64_t /*last*/, float* /*out*/) {}
void pair_scores(const PairTile& /*tile*/, std::int64_t /*first*/, std::int64_t /*end*/) {}
void pair_weighted_values(const PairTile& /*tile*/, std::int64_t /*first*/, std::int64_t /*end*/) {}

} // namespace ergo::cpu
#endif
