// SPDX-License-Identifier: GPL-3.0-or-later
// Products of many rows with bf16 weights and inputs rounded to bf16, two multiplications a lane
// (AVX-512 BF16's vdpbf16ps). As in kernels_linear.cpp vectors run over outputs, and an output is one chain
// over its inputs in order, block by block; here over pairs of inputs. Highway does not tell these processors
// apart, so this is written for the one instruction set that it is for.
#include "engine/backend/cpu/ahead.h"
#include "engine/backend/cpu/kernels.h"
#include "engine/backend/cpu/tile_rows.h"

#include <algorithm>
#include <chrono>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/kernels_pairs.cpp"
// clang-format off
#include <hwy/foreach_target.h> // must come before highway.h
#include <hwy/highway.h>
#include "engine/backend/cpu/transpose-inl.h"
// clang-format on

#if HWY_TARGET == HWY_AVX3 && HWY_ARCH_X86_64
HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR_AVX3 ",avx512bf16")
namespace ergo::cpu::HWY_NAMESPACE::pairs {

using D = hwy::HWY_NAMESPACE::ScalableTag<float>; // 16 pairs, moved as if each were a float
using V = hwy::HWY_NAMESPACE::Vec<D>;

constexpr int tile_rows = 14, tile_outputs = 32; // 28 sums, 2 weights and 1 input of 32 registers
constexpr int width = 16;                        // pairs of a vector
constexpr std::int64_t block_pairs = 128;        // summed from zero before they join the total

std::int64_t pairs_of(std::int64_t inputs) {
    return (inputs + 1) / 2;
}

V as_floats(__m512i v) {
    return V{_mm512_castsi512_ps(v)};
}
__m512i as_pairs(V v) {
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

// Seconds that `Count` steps of 24 independent chains take: pairs, or multiply-adds of float32.
template <bool Pairs> double seconds_of_chains() {
    constexpr int chains = 24, count = 4000;
    __m512 sum[chains];
    for (__m512& each : sum) {
        each = _mm512_setzero_ps();
    }
    const __m512 one = _mm512_set1_ps(1.0f);
    const auto pair = reinterpret_cast<__m512bh>(_mm512_set1_epi32(0x3f803f80));
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < count; ++i) {
#pragma GCC unroll 24
        for (__m512& each : sum) {
            each = Pairs ? _mm512_dpbf16_ps(each, pair, pair) : _mm512_fmadd_ps(one, one, each);
        }
        __asm__ volatile("" : : "r"(&sum[0]) : "memory");
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Two multiplications must not take as long as two: some processors take the instruction apart.
bool pairs_are_faster() {
    double pairs = 1, singles = 1;
    for (int round = 0; round < 5; ++round) {
        pairs = std::min(pairs, seconds_of_chains<true>());
        singles = std::min(singles, seconds_of_chains<false>());
    }
    return 2 * singles > 1.3 * pairs;
}

std::int64_t tile_pairs(std::int64_t inputs) {
    return pairs_of(inputs) * width;
}

void pack(const LinearArgs& a, std::int64_t tile, float* packed) {
    const TileRows rows = rows_of_tile(a.rows, tile_rows, tile);
    auto* out = reinterpret_cast<std::uint32_t*>(packed) + tile * tile_pairs(a.inputs);
    for (std::int64_t i = 0; i < a.inputs; i += 2 * width) {
        const std::int64_t count = std::min<std::int64_t>(2 * width, a.inputs - i);
        V v[width];
        for (int r = 0; r < width; ++r) {
            v[r] = as_floats(rounded_pairs(a.in[std::min(rows.first + r, rows.last - 1)] + i, count));
        }
        transpose(D(), v);
        for (std::int64_t c = 0; c < pairs_of(count); ++c) {
            _mm512_storeu_si512(out + (i / 2 + c) * width, as_pairs(v[c]));
        }
    }
}

/// All rows with a block whose inputs begin at pair `first`.
template <class Source>
void all_tiles(const LinearArgs& a, const float* packed, const typename Source::Stored* weights,
               const Ahead& ahead, std::int64_t first, const Block& block) {
    const std::int64_t tiles = tiles_of(a.rows, tile_rows);
    for (std::int64_t tile = 0; tile < tiles; ++tile) {
        ahead.fetch(tile);
        const TileRows rows = rows_of_tile(a.rows, tile_rows, tile);
        const auto* in =
            reinterpret_cast<const std::uint32_t*>(packed) + tile * tile_pairs(a.inputs) + first * width;
        multiply_rows<Source, tile_rows>(rows.last - rows.first, in, weights, block, a.out + rows.first);
    }
}

void linear(const LinearArgs& a, const float* packed, std::int64_t begin, std::int64_t end) {
    alignas(64) std::uint32_t panel[block_pairs * tile_outputs];
    const std::int64_t pairs = pairs_of(a.inputs), tiles = tiles_of(a.rows, tile_rows);
    const std::int64_t grouped = a.interleaved ? a.outputs / interleave * interleave : 0;
    for (std::int64_t first = 0; first < pairs; first += block_pairs) {
        const std::int64_t whole = std::min(block_pairs, a.inputs / 2 - first);
        const bool half = first + whole < std::min(pairs, first + block_pairs);
        for (std::int64_t o = begin; o < end; o += tile_outputs) {
            const Block block{whole, half, o, end - o, first > 0};
            const Ahead ahead(panel_after(a, {o, 2 * first}, {tile_outputs, 2 * block_pairs}, begin, end),
                              tiles);
            if (o + tile_outputs <= grouped) {
                const auto* weights =
                    static_cast<const std::uint16_t*>(a.weight) + (o * a.inputs + 2 * first * interleave);
                all_tiles<Group>(a, packed, weights, ahead, first, block);
            } else {
                fill_from_rows(a, o, first, whole + half, panel);
                all_tiles<Panel>(a, packed, panel, ahead, first, block);
            }
        }
    }
    finish_rows(a, begin, end);
}

} // namespace ergo::cpu::HWY_NAMESPACE::pairs
HWY_POP_ATTRIBUTES
#define ERGO_HAVE_PAIRS 1
namespace ergo::cpu {

bool has_bf16_pairs() {
    if ((hwy::SupportedTargets() & HWY_AVX3) == 0 || __builtin_cpu_supports("avx512bf16") == 0) {
        return false;
    }
    static const bool faster = HWY_NAMESPACE::pairs::pairs_are_faster();
    return faster;
}
std::int64_t pair_tiles(std::int64_t rows) {
    return tiles_of(rows, HWY_NAMESPACE::pairs::tile_rows);
}
std::int64_t pair_tile_floats(std::int64_t inputs) {
    return HWY_NAMESPACE::pairs::tile_pairs(inputs);
}
void pack_pairs(const LinearArgs& args, std::int64_t tile, float* packed) {
    HWY_NAMESPACE::pairs::pack(args, tile, packed);
}
void linear_pairs(const LinearArgs& args, const float* packed, std::int64_t begin, std::int64_t end) {
    HWY_NAMESPACE::pairs::linear(args, packed, begin, end);
}

} // namespace ergo::cpu
#endif

#if HWY_ONCE && !defined(ERGO_HAVE_PAIRS) // has_bf16_pairs() is false, and nobody calls the others
namespace ergo::cpu {

bool has_bf16_pairs() {
    return false;
}
std::int64_t pair_tiles(std::int64_t /*rows*/) {
    return 0;
}
std::int64_t pair_tile_floats(std::int64_t /*inputs*/) {
    return 0;
}
void pack_pairs(const LinearArgs& /*args*/, std::int64_t /*tile*/, float* /*packed*/) {}
void linear_pairs(const LinearArgs& /*args*/, const float* /*packed*/, std::int64_t /*begin*/,
                  std::int64_t /*end*/) {}

} // namespace ergo::cpu
#endif
