// SPDX-License-Identifier: GPL-3.0-or-later
// Products of many rows with weights of 16 bits, where both are rounded to whole numbers of 16 bits, two
// multiplications a lane (AVX-512 VNNI's vpdpwssd). As in kernels_linear.cpp vectors run over outputs, and an
// output is one chain over its inputs in blocks of 256; a block's sum is exact.
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
    const TileRows rows = rows_of_tile(a.rows, tile_rows, tile);
    auto* out = reinterpret_cast<std::uint32_t*>(packed) + tile * tile_words(a.inputs);
    for (std::int64_t i = 0; i < a.inputs; i += block_inputs, out += word_tile(block_inputs)) {
        pack_words(a.in + rows.first, rows.last - rows.first, i, std::min(block_inputs, a.inputs - i),
                   nullptr, out);
    }
}

/// The 32 weights of one input, or something of theirs.
struct Column {
    __m512 low, high;
};
template <class W> HWY_INLINE Column column_at(const typename W::Stored* at) {
    return {W::load(D(), at).raw, W::load(D(), at + width).raw};
}
HWY_INLINE Column zeros() {
    return {_mm512_setzero_ps(), _mm512_setzero_ps()};
}
HWY_INLINE void add_squares(const Column& column, Column& sum) {
    sum.low = _mm512_fmadd_ps(column.low, column.low, sum.low);
    sum.high = _mm512_fmadd_ps(column.high, column.high, sum.high);
}
HWY_INLINE void store_pairs(const Column& first, const Column& second, const Column& scale,
                            std::uint32_t* to) {
    _mm512_store_si512(to, words(_mm512_mul_ps(first.low, scale.low), _mm512_mul_ps(second.low, scale.low)));
    _mm512_store_si512(to + width,
                       words(_mm512_mul_ps(first.high, scale.high), _mm512_mul_ps(second.high, scale.high)));
}

template <class W> HWY_INLINE Column squares_of(const typename W::Stored* weights, std::int64_t inputs) {
    Column even = zeros(), odd = zeros(); // two chains
    for (std::int64_t p = 0; p < inputs / 2; ++p, weights += 2 * interleave) {
        add_squares(column_at<W>(weights), even);
        add_squares(column_at<W>(weights + interleave), odd);
    }
    if (inputs % 2 != 0) {
        add_squares(column_at<W>(weights), even);
    }
    return {_mm512_add_ps(even.low, odd.low), _mm512_add_ps(even.high, odd.high)};
}

/// A block of 32 outputs in whole numbers.
struct WordPanel {
    alignas(64) float scales[tile_outputs];
    alignas(64) std::uint32_t pairs[block_inputs / 2 * tile_outputs]; // [pairs][32]
};

/// Of weights that lie side by side, [inputs][32].
template <class W>
HWY_NOINLINE void fill(const typename W::Stored* weights, std::int64_t inputs, WordPanel& to) {
    const Column squares = squares_of<W>(weights, inputs);
    const Column scale{scale_to_whole(squares.low), scale_to_whole(squares.high)};
    _mm512_store_ps(to.scales, scale_back(squares.low));
    _mm512_store_ps(to.scales + width, scale_back(squares.high));
    std::uint32_t* panel = to.pairs;
    for (std::int64_t p = 0; p < inputs / 2; ++p, weights += 2 * interleave, panel += tile_outputs) {
        store_pairs(column_at<W>(weights), column_at<W>(weights + interleave), scale, panel);
    }
    if (inputs % 2 != 0) {
        store_pairs(column_at<W>(weights), zeros(), scale, panel);
    }
}

template <class W>
void fill_panel(const LinearArgs& a, std::int64_t o, std::int64_t end, std::int64_t first,
                std::int64_t inputs, WordPanel& panel) {
    if (a.interleaved && o + tile_outputs <= a.outputs / interleave * interleave) {
        const auto* weights = static_cast<const typename W::Stored*>(a.weight);
        fill<W>(weights + (o * a.inputs + first * interleave), inputs, panel);
        return;
    }
    if (a.packed) {
        alignas(64) std::uint16_t unpacked[block_inputs * tile_outputs];
        unpack_block<Unpacked::inputs>(packed_block_at(a, o, first), inputs, unpacked);
        fill<Bf16>(unpacked, inputs, panel);
        return;
    }
    alignas(64) float turned[block_inputs * tile_outputs];
    pack_panel<W>(a, o, end, first, first + inputs, turned);
    fill<F32>(turned, inputs, panel);
}

void linear_words(const LinearArgs& a, const float* packed, std::int64_t begin, std::int64_t end) {
    WordPanel panel;
    const std::int64_t tiles = tiles_of(a.rows, tile_rows);
    const auto* rows_packed = reinterpret_cast<const std::uint32_t*>(packed);
    for (std::int64_t i = 0; i < a.inputs; i += block_inputs, rows_packed += word_tile(block_inputs)) {
        const std::int64_t inputs = std::min(block_inputs, a.inputs - i);
        for (std::int64_t o = begin; o < end; o += tile_outputs) {
            a.type == DType::f16 ? fill_panel<F16>(a, o, end, i, inputs, panel)
                                 : fill_panel<Bf16>(a, o, end, i, inputs, panel);
            const Ahead ahead(panel_after(a, {o, i}, {tile_outputs, block_inputs}, begin, end), tiles);
            for (std::int64_t tile = 0; tile < tiles; ++tile) {
                const TileRows rows = rows_of_tile(a.rows, tile_rows, tile);
                multiply_words_of(rows.last - rows.first, rows_packed + tile * tile_words(a.inputs),
                                  panel.pairs, panel.scales, pairs_of(inputs), ahead, tile,
                                  Block{o, end - o, i > 0}, a.out + rows.first);
            }
        }
    }
    finish_rows(a, begin, end);
}

} // namespace ergo::cpu::HWY_NAMESPACE::pairs
HWY_POP_ATTRIBUTES
#define ERGO_HAVE_WORDS 1
namespace ergo::cpu {

const PairKernels* word_pairs() {
    if ((hwy::SupportedTargets() & HWY_AVX3) == 0 || __builtin_cpu_supports("avx512vnni") == 0) {
        return nullptr;
    }
    using namespace HWY_NAMESPACE::pairs;
    static const bool faster = are_faster<Chain::words>();
    static constexpr PairKernels kernels{tile_words, pack_word_tile, linear_words};
    return faster ? &kernels : nullptr;
}

} // namespace ergo::cpu
#endif

#if HWY_ONCE && !defined(ERGO_HAVE_WORDS)
namespace ergo::cpu {

const PairKernels* word_pairs() {
    return nullptr;
}

} // namespace ergo::cpu
#endif
