// SPDX-License-Identifier: GPL-3.0-or-later
// Products of many rows with bf16 weights and inputs rounded to bf16, two multiplications a lane
// (AVX-512 BF16's vdpbf16ps). As in kernels_linear.cpp vectors run over outputs, and an output is one chain
// over its inputs in order, block by block; here over pairs of inputs.
#include "engine/backend/cpu/ahead.h"
#include "engine/backend/cpu/kernels.h"
#include "engine/backend/cpu/tile_rows.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/kernels_pairs.cpp"
// clang-format off
#include <hwy/foreach_target.h> // must come before highway.h
#include <hwy/highway.h>
#include "engine/backend/cpu/packed-inl.h"
#include "engine/backend/cpu/pair_tile-inl.h"
// clang-format on

#if HWY_TARGET == HWY_AVX3 && HWY_ARCH_X86_64
HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR_AVX3 ",avx512bf16")
namespace ergo::cpu::HWY_NAMESPACE::pairs {

constexpr std::int64_t block_pairs = 128; // summed from zero before they join the total

/// Inputs [0, count) of a row, at most 32, as 16 pairs; those beyond are 0.
HWY_INLINE __m512i rounded_pairs(const float* in, std::int64_t count) {
    const __m512 low = _mm512_maskz_loadu_ps(first_lanes(count), in);
    const __m512 high = _mm512_maskz_loadu_ps(first_lanes(count - width), in + (count > width ? width : 0));
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
struct Inputs {
    std::int64_t whole_pairs;
    bool half_pair; ///< one input more
};

template <class Source, int Rows>
__attribute__((noinline)) void multiply(const std::uint32_t* in, const typename Source::Stored* weights,
                                        const Inputs& inputs, const Ahead& ahead, std::int64_t tile,
                                        const Block& block, float* const* out) {
    const Source source;
    AheadShare share = ahead.share(tile);
    const std::int64_t lines = share.each_of(inputs.whole_pairs / ahead_step);
    __m512 sum0[Rows], sum1[Rows];
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
        sum0[r] = sum1[r] = _mm512_setzero_ps();
    }
    for (std::int64_t p = 0; p < inputs.whole_pairs; ++p, in += width, weights += Source::stride) {
        if (p % ahead_step == 0) {
            share.fetch(lines);
            if (const std::int64_t row = p / ahead_step; row < Rows) {
                fetch_sums(out[row] + block.output);
            }
        }
        add_products<Rows>(source.read(weights), in, sum0, sum1);
    }
    if (inputs.half_pair) {
        add_products<Rows>(source.read_half(weights), in, sum0, sum1);
    }
    store_sums<Rows>(block, sum0, sum1, out);
}

template <class Source, int Rows>
void multiply_rows(std::int64_t rows, const std::uint32_t* in, const typename Source::Stored* weights,
                   const Inputs& inputs, const Ahead& ahead, std::int64_t tile, const Block& block,
                   float* const* out) {
    if constexpr (Rows > 0) {
        rows == Rows ? multiply<Source, Rows>(in, weights, inputs, ahead, tile, block, out)
                     : multiply_rows<Source, Rows - 1>(rows, in, weights, inputs, ahead, tile, block, out);
    }
}

/// Side by side, [input][output]: two inputs are brought together in registers, behind the multiplications
/// of a tile, which is cheaper than a panel's stores.
struct Group {
    using Stored = std::uint16_t;
    static constexpr std::int64_t stride = 2 * interleave;
    static_assert(interleave == tile_outputs);

    Group() {
        alignas(64) static constexpr std::uint16_t order[] = {0,  32, 1,  33, 2,  34, 3,  35, 4,  36, 5,
                                                              37, 6,  38, 7,  39, 8,  40, 9,  41, 10, 42,
                                                              11, 43, 12, 44, 13, 45, 14, 46, 15, 47};
        low = _mm512_load_si512(order);
        high = _mm512_add_epi16(low, _mm512_set1_epi16(width));
    }
    Weights read(const Stored* at) const {
        return together(_mm512_loadu_si512(at), _mm512_loadu_si512(at + interleave));
    }
    /// A last input without a second.
    Weights read_half(const Stored* at) const {
        return together(_mm512_loadu_si512(at), _mm512_setzero_si512());
    }
    Weights together(__m512i even, __m512i odd) const {
        return {reinterpret_cast<__m512bh>(_mm512_permutex2var_epi16(even, low, odd)),
                reinterpret_cast<__m512bh>(_mm512_permutex2var_epi16(even, high, odd))};
    }

    __m512i low, high;
};

/// A panel's pairs [first, first + count) from rows as they are stored; outputs beyond the last repeat it,
/// and nobody reads what they give.
void fill_from_rows(const LinearArgs& a, std::int64_t o, std::int64_t first, std::int64_t count,
                    std::uint32_t* panel) {
    for (int half = 0; half < tile_outputs; half += width) {
        const std::uint16_t* rows[width];
        for (int r = 0; r < width; ++r) {
            rows[r] = static_cast<const std::uint16_t*>(a.weight) +
                      std::min(o + half + r, a.outputs - 1) * a.inputs + 2 * first;
        }
        for (std::int64_t p = 0; p < count; p += width) {
            const std::int64_t numbers = std::min<std::int64_t>(2 * width, a.inputs - 2 * (first + p));
            const auto mask = static_cast<__mmask32>(numbers == 32 ? ~0u : (1u << numbers) - 1);
            V v[width];
            for (int r = 0; r < width; ++r) {
                v[r] = as_floats(_mm512_maskz_loadu_epi16(mask, rows[r] + 2 * p));
            }
            transpose(D(), v);
            for (std::int64_t c = 0; c < std::min<std::int64_t>(width, count - p); ++c) {
                _mm512_store_si512(panel + (p + c) * tile_outputs + half, as_pairs(v[c]));
            }
        }
    }
}

std::int64_t tile_pairs(std::int64_t inputs) {
    return pairs_of(inputs) * width;
}

void pack_bf16_tile(const LinearArgs& a, std::int64_t tile, float* packed) {
    const TileRows rows = rows_of_tile(a.rows, tile_rows, tile);
    auto* out = reinterpret_cast<std::uint32_t*>(packed) + tile * tile_pairs(a.inputs);
    pack_rows(a.in + rows.first, rows.last - rows.first, a.inputs, out);
}

/// All rows with a block whose inputs begin at pair `first`.
template <class Source>
void all_tiles(const LinearArgs& a, const float* packed, const typename Source::Stored* weights,
               const Ahead& ahead, std::int64_t first, const Inputs& inputs, const Block& block) {
    const std::int64_t tiles = tiles_of(a.rows, tile_rows);
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
        const TileRows rows = rows_of_tile(a.rows, tile_rows, tile);
        const auto* in =
            reinterpret_cast<const std::uint32_t*>(packed) + tile * tile_pairs(a.inputs) + first * width;
        multiply_rows<Source, tile_rows>(rows.last - rows.first, in, weights, inputs, ahead, tile, block,
                                         a.out + rows.first);
    }
}

void linear_bf16(const LinearArgs& a, const float* packed, std::int64_t begin, std::int64_t end) {
    alignas(64) std::uint32_t panel[block_pairs * tile_outputs];
    const std::int64_t pairs = pairs_of(a.inputs), tiles = tiles_of(a.rows, tile_rows);
    const std::int64_t grouped = a.interleaved ? a.outputs / interleave * interleave : 0;
    for (std::int64_t first = 0; first < pairs; first += block_pairs) {
        const std::int64_t whole = std::min(block_pairs, a.inputs / 2 - first);
        const bool half = first + whole < std::min(pairs, first + block_pairs);
        for (std::int64_t o = begin; o < end; o += tile_outputs) {
            const Inputs inputs{whole, half};
            const Block block{o, end - o, first > 0};
            const Ahead ahead(panel_after(a, {o, 2 * first}, {tile_outputs, 2 * block_pairs}, begin, end),
                              tiles);
            if (a.packed) {
                unpack_block<Unpacked::pairs>(packed_block_at(a, o, 2 * first), 2 * whole,
                                              reinterpret_cast<std::uint16_t*>(panel));
                all_tiles<Panel>(a, packed, panel, ahead, first, inputs, block);
            } else if (o + tile_outputs <= grouped) {
                const auto* weights =
                    static_cast<const std::uint16_t*>(a.weight) + (o * a.inputs + 2 * first * interleave);
                all_tiles<Group>(a, packed, weights, ahead, first, inputs, block);
            } else {
                fill_from_rows(a, o, first, whole + half, panel);
                all_tiles<Panel>(a, packed, panel, ahead, first, inputs, block);
            }
        }
    }
    finish_rows(a, begin, end);
}

} // namespace ergo::cpu::HWY_NAMESPACE::pairs
HWY_POP_ATTRIBUTES
#define ERGO_HAVE_PAIRS 1
namespace ergo::cpu {

// To ask the processor itself takes long: once.
const PairKernels* bf16_pairs() {
    using namespace HWY_NAMESPACE::pairs;
    static const bool faster = (hwy::SupportedTargets() & HWY_AVX3) != 0 &&
                               __builtin_cpu_supports("avx512bf16") != 0 &&
                               are_faster<Chain::bf16, Chain::singles>();
    static constexpr PairKernels kernels{tile_rows, tile_pairs, pack_bf16_tile, linear_bf16};
    return faster ? &kernels : nullptr;
}

} // namespace ergo::cpu
#endif

#if HWY_ONCE && !defined(ERGO_HAVE_PAIRS)
namespace ergo::cpu {

const PairKernels* bf16_pairs() {
    return nullptr;
}

} // namespace ergo::cpu
#endif
