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

static_assert(pair_queries == word_rows && pair_group == tile_outputs);

/// A position of values is rounded to whole numbers up to this one, and a weight multiplied by what they
/// stand for before it is rounded itself: a later position then moves nothing of an earlier row. Squares of a
/// block of positions then add up to at most 32,767 squared too.
constexpr int most_of_values = 4095;
static_assert(state_block * most_of_values * most_of_values <= std::int64_t{32767} * 32767);

template <DType type> void keys_of(const std::byte* block, std::int64_t dim, float* out) {
    const D d;
    for (std::int64_t at = 0; at < state_block; at += pair_group, out += pair_key_floats(pair_group, dim)) {
        __m512 squares[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()}, largest[2] = {squares[0], squares[1]};
        __m512 scale[2];
        auto& head = *reinterpret_cast<WordOutputs*>(out);
        BlockReader<type, 2, D> lengths(block, at), keys(block, at);
        for (std::int64_t c = 0; c < dim; ++c) {
            V k[2];
            lengths.read(d, c, k);
            squares[0] = _mm512_fmadd_ps(k[0].raw, k[0].raw, squares[0]);
            squares[1] = _mm512_fmadd_ps(k[1].raw, k[1].raw, squares[1]);
            largest[0] = larger(largest[0], k[0].raw);
            largest[1] = larger(largest[1], k[1].raw);
        }
        for (int u = 0; u < 2; ++u) {
            scale[u] = scale_to_whole(squares[u]);
            _mm512_store_ps(head.scales + u * width, scale_back(squares[u]));
            _mm512_store_si512(head.largest + u * width, whole_lanes(largest[u], scale[u]));
        }
        Crossed crossed[2];
        auto* const pairs = reinterpret_cast<std::uint32_t*>(&head + 1);
        for (std::int64_t c = 0; c < dim; c += 2) {
            V first[2], second[2] = {hwy::HWY_NAMESPACE::Zero(d), hwy::HWY_NAMESPACE::Zero(d)};
            keys.read(d, c, first);
            if (c + 1 < dim) {
                keys.read(d, c + 1, second);
            }
            for (int u = 0; u < 2; ++u) {
                const __m512i pair = words(first[u].raw, scale[u], second[u].raw, scale[u]);
                _mm512_store_si512(pairs + c / 2 * pair_group + u * width, pair);
                crossed[u].add(c / 2, pair);
            }
        }
        _mm512_store_si512(head.crossed, crossed[0].sum);
        _mm512_store_si512(head.crossed + width, crossed[1].sum);
    }
}

template <DType type> float largest_of(const std::byte* row, std::int64_t channels) {
    __m512 largest = _mm512_setzero_ps();
    for (std::int64_t c = 0; c < channels; c += width) {
        largest = _mm512_max_ps(largest, _mm512_abs_ps(read_row<type>(D(), row, channels, c).raw));
    }
    return _mm512_reduce_max_ps(largest);
}

/// Floats of a block of values: what its positions' whole numbers stand for, then its groups of channels.
std::int64_t value_block(std::int64_t channels) {
    return pair_value_floats(state_block, channels);
}
/// A group's values of a block of positions.
struct ValueGroup {
    WordOutputs outputs; // whose scales are 1
    std::uint32_t pairs[state_block / 2][pair_group];
};
static_assert(sizeof(ValueGroup) == pair_value_group * sizeof(float));

void begin_values(WordOutputs& outputs) {
    std::fill(std::begin(outputs.scales), std::end(outputs.scales), 1.0f);
    std::fill(std::begin(outputs.crossed), std::end(outputs.crossed), 0);
    std::fill(std::begin(outputs.largest), std::end(outputs.largest), most_of_values);
}
/// Pair p of some channels.
HWY_INLINE void store_values(ValueGroup& group, std::int64_t p, std::int64_t channel, __m512i pair) {
    if (p % 2 != 0) {
        std::int32_t* const crossed = group.outputs.crossed + channel;
        const __m512i last = _mm512_load_si512(group.pairs[p - 1] + channel);
        _mm512_store_si512(crossed, _mm512_dpwssd_epi32(_mm512_load_si512(crossed), last, pair));
    }
    _mm512_store_si512(group.pairs[p] + channel, pair);
}

template <DType type> void values_of(const PairValues& a, std::int64_t first, std::int64_t last, float* out) {
    const D d;
    float* const back = out + first / state_block * value_block(a.channels);
    auto* const groups = reinterpret_cast<ValueGroup*>(back + state_block);
    float scale[state_block];
    for (std::int64_t j = first; j < last; ++j) {
        const float largest = largest_of<type>(a.values + j * a.stride, a.channels);
        back[j - first] = largest / most_of_values;
        scale[j - first] = largest > 0 ? most_of_values / largest : 0;
    }
    for (std::int64_t c = 0; c < a.channels; c += pair_group) {
        begin_values(groups[c / pair_group].outputs);
    }
    for (std::int64_t j = first; j < last; j += 2) {
        const std::byte* row = a.values + j * a.stride;
        const bool both = j + 1 < last;
        const __m512 scale0 = _mm512_set1_ps(scale[j - first]);
        const __m512 scale1 = _mm512_set1_ps(both ? scale[j + 1 - first] : 0);
        for (std::int64_t c = 0; c < a.channels; c += width) {
            const V even = read_row<type>(d, row, a.channels, c);
            const V odd =
                both ? read_row<type>(d, row + a.stride, a.channels, c) : hwy::HWY_NAMESPACE::Zero(d);
            store_values(groups[c / pair_group], (j - first) / 2, c % pair_group,
                         words(even.raw, scale0, odd.raw, scale1));
        }
    }
}

template <Way way> void scores_of(const PairTile& a, std::int64_t first, std::int64_t end) {
    auto& queries = *reinterpret_cast<WordTile*>(a.packed);
    pack_words<Readers::this_thread>(a.query, a.queries, 0, a.dim, nullptr, queries);
    for (std::int64_t j = first; j < end; j += pair_group) {
        const float* group = a.keys + j / pair_group * pair_key_floats(pair_group, a.dim);
        const auto& keys = *reinterpret_cast<const WordOutputs*>(group);
        multiply_words_where_possible<way>(a.queries, queries, keys,
                                           reinterpret_cast<const std::uint32_t*>(&keys + 1), pairs_of(a.dim),
                                           Ahead(), 0, Block{j - first, pair_group, false}, a.scores);
    }
}

template <Way way> void weighted_of(const PairTile& a, std::int64_t first, std::int64_t end) {
    auto& weights = *reinterpret_cast<WordTile*>(a.packed);
    for (std::int64_t j = first; j < end; j += state_block) {
        const std::int64_t count = std::min(state_block, end - j), pairs = pairs_of(count);
        const float* block = a.values + j / state_block * value_block(a.channels);
        pack_words<Readers::this_thread>(a.scores, a.queries, j - first, count, block, weights);
        const auto* group = reinterpret_cast<const ValueGroup*>(block + state_block);
        for (std::int64_t c = 0; c < a.channels; c += pair_group, ++group) {
            const Block channels{c, a.channels - c, j > first};
            // What crosses in a block is known of all of it alone.
            if (count == state_block) {
                multiply_words_where_possible<way>(a.queries, weights, group->outputs, group->pairs[0], pairs,
                                                   Ahead(), 0, channels, a.out);
            } else {
                multiply_words_of<Way::plain>(a.queries, weights, group->outputs, group->pairs[0], pairs,
                                              Ahead(), 0, channels, a.out);
            }
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
    type == DType::bf16 ? pairs::keys_of<DType::bf16>(block, dim, out)
    : type == DType::q8 ? pairs::keys_of<DType::q8>(block, dim, out)
                        : pairs::keys_of<DType::f32>(block, dim, out);
}
void pair_values(const PairValues& args, std::int64_t first, std::int64_t last, float* out) {
    args.type == DType::bf16 ? pairs::values_of<DType::bf16>(args, first, last, out)
    : args.type == DType::q8 ? pairs::values_of<DType::q8>(args, first, last, out)
                             : pairs::values_of<DType::f32>(args, first, last, out);
}
void pair_scores(const PairTile& tile, std::int64_t first, std::int64_t end) {
    crossed_word_pairs() ? pairs::scores_of<pairs::Way::crossed>(tile, first, end)
                         : pairs::scores_of<pairs::Way::plain>(tile, first, end);
}
void pair_weighted_values(const PairTile& tile, std::int64_t first, std::int64_t end) {
    crossed_word_pairs() ? pairs::weighted_of<pairs::Way::crossed>(tile, first, end)
                         : pairs::weighted_of<pairs::Way::plain>(tile, first, end);
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
