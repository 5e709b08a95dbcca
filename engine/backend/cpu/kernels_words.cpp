// SPDX-License-Identifier: GPL-3.0-or-later
// Products of many rows with weights of 16 bits, where both are rounded to whole numbers of 16 bits, two
// multiplications a lane (AVX-512 VNNI's vpdpwssd), or three for four of them (words-inl.h). As in
// kernels_linear.cpp vectors run over outputs, and an output is one chain over its inputs in blocks of 256; a
// block's sum is exact.
#include "engine/backend/cpu/ahead.h"
#include "engine/backend/cpu/kernels.h"
#include "engine/backend/cpu/tile_rows.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/kernels_words.cpp"
// clang-format off
#include <hwy/foreach_target.h> // must come before highway.h
#include <hwy/highway.h>
#include "engine/backend/cpu/packed-inl.h"
#include "engine/backend/cpu/panel-inl.h"
#include "engine/backend/cpu/words-inl.h"
// clang-format on

#if HWY_TARGET == HWY_AVX3 && HWY_ARCH_X86_64
HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR_AVX3 ",avx512vnni")
namespace ergo::cpu::HWY_NAMESPACE::pairs {

constexpr std::int64_t block_inputs = 256; // a stretch of whole numbers
static_assert(interleave == tile_outputs && panel_outputs == tile_outputs);

/// Blocks of a tile follow one another.
std::int64_t tile_words(std::int64_t inputs) {
    return inputs / block_inputs * word_tile(block_inputs) + word_tile(inputs % block_inputs);
}

void pack_word_tile(const LinearArgs& a, std::int64_t tile, float* packed) {
    const TileRows rows = rows_of_tile(a.rows, word_rows, tile);
    float* out = packed + tile * tile_words(a.inputs);
    for (std::int64_t i = 0; i < a.inputs; i += block_inputs, out += word_tile(block_inputs)) {
        pack_words<Readers::all_threads>(a.in + rows.first, rows.last - rows.first, i,
                                         std::min(block_inputs, a.inputs - i), nullptr,
                                         *reinterpret_cast<WordTile*>(out));
    }
}

/// The 32 weights of one input, or something of theirs.
struct Column {
    __m512 low, high;
};
HWY_INLINE Column zeros() {
    return {_mm512_setzero_ps(), _mm512_setzero_ps()};
}
/// Of two inputs.
struct Columns {
    Column first, second;
};
/// bf16 as packed blocks are taken apart, [inputs / 2][32][2].
struct Bf16Pairs {
    using Stored = std::uint16_t;
};
/// Pair number p; weights [inputs][32] but for Bf16Pairs.
template <class W> HWY_INLINE Columns columns_at(const typename W::Stored* weights, std::int64_t p) {
    const auto* at = weights + 2 * p * interleave;
    if constexpr (std::is_same_v<W, Bf16Pairs>) {
        const __m512i low = _mm512_load_si512(at), high = _mm512_load_si512(at + 2 * width);
        const __m512i upper = _mm512_set1_epi32(static_cast<std::int32_t>(0xffff0000));
        return {{_mm512_castsi512_ps(_mm512_slli_epi32(low, 16)),
                 _mm512_castsi512_ps(_mm512_slli_epi32(high, 16))},
                {_mm512_castsi512_ps(_mm512_and_si512(low, upper)),
                 _mm512_castsi512_ps(_mm512_and_si512(high, upper))}};
    } else {
        return {{W::load(D(), at).raw, W::load(D(), at + width).raw},
                {W::load(D(), at + interleave).raw, W::load(D(), at + interleave + width).raw}};
    }
}
/// Of an input that has no other beside it.
template <class W> HWY_INLINE Column last_column(const typename W::Stored* weights, std::int64_t p) {
    if constexpr (std::is_same_v<W, Bf16Pairs>) {
        return columns_at<W>(weights, p).first; // whole pairs lie there
    } else {
        const auto* at = weights + 2 * p * interleave;
        return {W::load(D(), at).raw, W::load(D(), at + width).raw};
    }
}
/// Of the outputs' weights.
struct Extents {
    HWY_INLINE Extents() : squares(zeros()), largest(zeros()) {}
    Column squares, largest;
    HWY_INLINE void add(const Column& column) {
        squares.low = _mm512_fmadd_ps(column.low, column.low, squares.low);
        squares.high = _mm512_fmadd_ps(column.high, column.high, squares.high);
        largest.low = larger(largest.low, column.low);
        largest.high = larger(largest.high, column.high);
    }
    HWY_INLINE void add(const Extents& other) {
        squares.low = _mm512_add_ps(squares.low, other.squares.low);
        squares.high = _mm512_add_ps(squares.high, other.squares.high);
        largest.low = larger(largest.low, other.largest.low);
        largest.high = larger(largest.high, other.largest.high);
    }
};
template <class W> HWY_INLINE Extents extents_of(const typename W::Stored* weights, std::int64_t inputs) {
    Extents even, odd; // two chains
    for (std::int64_t p = 0; p < inputs / 2; ++p) {
        const Columns both = columns_at<W>(weights, p);
        even.add(both.first);
        odd.add(both.second);
    }
    if (inputs % 2 != 0) {
        even.add(last_column<W>(weights, inputs / 2));
    }
    even.add(odd);
    return even;
}

/// A block of 32 outputs in whole numbers.
struct WordPanel {
    alignas(64) WordOutputs outputs;
    alignas(64) std::uint32_t pairs[block_inputs / 2 * tile_outputs]; // [pairs][32]
};

/// Pairs of outputs, one after the other.
class PairsOut {
  public:
    HWY_INLINE PairsOut(const Column& scale, std::uint32_t* to) : scale_(scale), to_(to) {}
    HWY_INLINE void add(std::int64_t p, const Column& first, const Column& second) {
        const __m512i low = words(first.low, scale_.low, second.low, scale_.low);
        const __m512i high = words(first.high, scale_.high, second.high, scale_.high);
        _mm512_store_si512(to_ + p * tile_outputs, low);
        _mm512_store_si512(to_ + p * tile_outputs + width, high);
        low_.add(p, low);
        high_.add(p, high);
    }
    HWY_INLINE void store_crossed(WordOutputs& to) const {
        _mm512_store_si512(to.crossed, low_.sum);
        _mm512_store_si512(to.crossed + width, high_.sum);
    }

  private:
    Column scale_;
    std::uint32_t* to_;
    Crossed low_, high_;
};

/// What the outputs are rounded by, from what is known of them.
HWY_INLINE Column use_extents(const float* extents, WordOutputs& to) {
    const Column squares{_mm512_loadu_ps(extents), _mm512_loadu_ps(extents + width)};
    _mm512_store_ps(to.scales, scale_back(squares.low));
    _mm512_store_ps(to.scales + width, scale_back(squares.high));
    const __m512i largest = _mm512_set1_epi32(static_cast<std::int32_t>(extents[tile_outputs]));
    _mm512_store_si512(to.largest, largest);
    _mm512_store_si512(to.largest + width, largest);
    return {scale_to_whole(squares.low), scale_to_whole(squares.high)};
}

/// Of weights that lie side by side.
template <class W>
HWY_NOINLINE void find_extents(const typename W::Stored* weights, std::int64_t inputs, float* to) {
    const Extents found = extents_of<W>(weights, inputs);
    _mm512_storeu_ps(to, found.squares.low);
    _mm512_storeu_ps(to + width, found.squares.high);
    const __m512i low = whole_lanes(found.largest.low, scale_to_whole(found.squares.low));
    const __m512i high = whole_lanes(found.largest.high, scale_to_whole(found.squares.high));
    to[tile_outputs] = static_cast<float>(_mm512_reduce_max_epi32(_mm512_max_epi32(low, high)));
}

template <class W>
HWY_NOINLINE void fill(const typename W::Stored* weights, std::int64_t inputs, const float* extents,
                       WordPanel& to) {
    float found[word_extents];
    if (!extents) {
        find_extents<W>(weights, inputs, found);
    }
    PairsOut out(use_extents(extents ? extents : found, to.outputs), to.pairs);
    for (std::int64_t p = 0; p < inputs / 2; ++p) {
        const Columns both = columns_at<W>(weights, p);
        out.add(p, both.first, both.second);
    }
    if (inputs % 2 != 0) {
        out.add(inputs / 2, last_column<W>(weights, inputs / 2), zeros());
    }
    out.store_crossed(to.outputs);
}

/// Of packed weights whose extents are known: taken apart on the way, so that they pass the first cache once.
HWY_NOINLINE void fill_packed(const PackedBlock& block, std::int64_t inputs, const float* extents,
                              WordPanel& to) {
    Unpacker<Unpacked::pairs> unpacker(block);
    alignas(64) std::uint16_t quads[2][unpacker.quad_numbers]; // in turn: one is read while one is written
    PairsOut out(use_extents(extents, to.outputs), to.pairs);
    for (std::int64_t p = 0; p < inputs / 2; p += packed_quad / 2) {
        std::uint16_t* const quad = quads[p / 2 % 2];
        unpacker.next(quad);
        for (std::int64_t i = 0; i < packed_quad / 2; ++i) {
            const Columns both = columns_at<Bf16Pairs>(quad, i);
            out.add(p + i, both.first, both.second);
        }
    }
    out.store_crossed(to.outputs);
}

/// Inputs [first, first + inputs) of outputs [o, o + 32), of which some may lie beyond `end`.
struct WeightBlock {
    std::int64_t o, end, first, inputs;
};

/// A block as `use` wants it, side by side as columns_at reads it.
template <class W, class Use> void with_block(const LinearArgs& a, const WeightBlock& block, const Use& use) {
    if (a.interleaved && block.o + tile_outputs <= a.outputs / interleave * interleave) {
        const auto* weights = static_cast<const typename W::Stored*>(a.weight);
        use.template of<W>(weights + (block.o * a.inputs + block.first * interleave));
        return;
    }
    if (a.packed) {
        use.of_packed(packed_block_at(a, block.o, block.first));
        return;
    }
    alignas(64) float turned[block_inputs * tile_outputs];
    pack_panel<W>(a, block.o, block.end, block.first, block.first + block.inputs, turned);
    use.template of<F32>(turned);
}
template <class Use> void with_block(const LinearArgs& a, const WeightBlock& block, const Use& use) {
    a.type == DType::f16 ? with_block<F16>(a, block, use) : with_block<Bf16>(a, block, use);
}

void find_packed_extents(const PackedBlock& block, std::int64_t inputs, float* out) {
    alignas(64) std::uint16_t unpacked[block_inputs * tile_outputs];
    unpack_block<Unpacked::pairs>(block, inputs, unpacked);
    find_extents<Bf16Pairs>(unpacked, inputs, out);
}

struct Fill {
    std::int64_t inputs;
    const float* extents;
    WordPanel& panel;
    template <class W> void of(const typename W::Stored* weights) const {
        fill<W>(weights, inputs, extents, panel);
    }
    void of_packed(const PackedBlock& block) const {
        float found[word_extents];
        if (!extents) {
            find_packed_extents(block, inputs, found);
        }
        fill_packed(block, inputs, extents ? extents : found, panel);
    }
};
struct FindExtents {
    std::int64_t inputs;
    float* out;
    template <class W> void of(const typename W::Stored* weights) const {
        find_extents<W>(weights, inputs, out);
    }
    void of_packed(const PackedBlock& block) const { find_packed_extents(block, inputs, out); }
};

/// From the first of a matrix to those of a block.
std::int64_t extents_at(const LinearArgs& a, std::int64_t o, std::int64_t first) {
    const std::int64_t blocks = (a.inputs + block_inputs - 1) / block_inputs;
    return (o / tile_outputs * blocks + first / block_inputs) * word_extents;
}

void extents_of_words(const LinearArgs& a, std::int64_t begin, std::int64_t end, float* out) {
    for (std::int64_t o = begin; o < end; o += tile_outputs) {
        for (std::int64_t i = 0; i < a.inputs; i += block_inputs) {
            const std::int64_t inputs = std::min(block_inputs, a.inputs - i);
            with_block(a, {o, end, i, inputs}, FindExtents{inputs, out + extents_at(a, o, i)});
        }
    }
}

/// Asks for what a tile begins with, into the first cache: it lies too far from the tile before for the
/// machine to foresee.
HWY_INLINE void fetch_tile(const float* stretch) {
    constexpr int begin = (sizeof(WordTile) + 2 * sizeof(__m512i)) / sizeof(float);
#pragma GCC unroll 8
    for (int i = 0; i < begin; i += width) {
        __builtin_prefetch(stretch + i, 0, 3);
    }
}

template <Way way>
void linear_words(const LinearArgs& a, const float* packed, std::int64_t begin, std::int64_t end) {
    WordPanel panel;
    const std::int64_t tiles = tiles_of(a.rows, word_rows), tile_floats = tile_words(a.inputs);
    for (std::int64_t i = 0; i < a.inputs; i += block_inputs, packed += word_tile(block_inputs)) {
        const std::int64_t inputs = std::min(block_inputs, a.inputs - i);
        RowsAhead rows_ahead(i + block_inputs < a.inputs ? packed + word_tile(block_inputs) : nullptr, tiles,
                             tile_floats, word_tile(block_inputs),
                             (end - begin + tile_outputs - 1) / tile_outputs);
        for (std::int64_t o = begin; o < end; o += tile_outputs) {
            const float* extents = a.extents ? a.extents + extents_at(a, o, i) : nullptr;
            with_block(a, {o, end, i, inputs}, Fill{inputs, extents, panel});
            const Ahead ahead(panel_after(a, {o, i}, {tile_outputs, block_inputs}, begin, end), tiles);
            TileWalk walk(a.rows, word_rows);
            const float *stretch = packed, *next = stretch;
            for (std::int64_t tile = 0; tile < tiles; ++tile, stretch = next) {
                const TileRows rows = walk.next();
                next = tile + 1 < tiles ? stretch + tile_floats : packed;
                fetch_tile(next);
                rows_ahead.fetch();
                multiply_words_where_possible<way>(
                    rows.last - rows.first, *reinterpret_cast<const WordTile*>(stretch), panel.outputs,
                    panel.pairs, pairs_of(inputs), ahead, tile, Block{o, end - o, i > 0}, a.out + rows.first);
            }
        }
    }
    finish_rows(a, begin, end);
}

} // namespace ergo::cpu::HWY_NAMESPACE::pairs
HWY_POP_ATTRIBUTES
#define ERGO_HAVE_WORDS 1
namespace ergo::cpu {

// To ask the processor itself takes long: once.
const PairKernels* word_pairs() {
    using namespace HWY_NAMESPACE::pairs;
    static const bool faster = (hwy::SupportedTargets() & HWY_AVX3) != 0 &&
                               __builtin_cpu_supports("avx512vnni") != 0 &&
                               are_faster<Chain::words, Chain::singles>();
    static constexpr PairKernels kernels{word_rows, tile_words, pack_word_tile, linear_words<Way::plain>,
                                         extents_of_words};
    return faster ? &kernels : nullptr;
}

const PairKernels* crossed_word_pairs() {
    using namespace HWY_NAMESPACE::pairs;
    static const bool faster = word_pairs() != nullptr && are_faster<Chain::crossed, Chain::words>();
    static constexpr PairKernels kernels{word_rows, tile_words, pack_word_tile, linear_words<Way::crossed>,
                                         extents_of_words};
    return faster ? &kernels : nullptr;
}

} // namespace ergo::cpu
#endif

#if HWY_ONCE && !defined(ERGO_HAVE_WORDS)
namespace ergo::cpu {

const PairKernels* word_pairs() {
    return nullptr;
}
const PairKernels* crossed_word_pairs() {
    return nullptr;
}

} // namespace ergo::cpu
#endif
