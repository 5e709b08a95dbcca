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
#include "engine/backend/cpu/pairs-inl.h"
// clang-format on

#if HWY_TARGET == HWY_AVX3 && HWY_ARCH_X86_64
HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR_AVX3 ",avx512bf16,avx512vnni")
namespace ergo::cpu::HWY_NAMESPACE::pairs {

constexpr std::int64_t block_pairs = 128; // summed from zero before they join the total

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

void pack(const LinearArgs& a, std::int64_t tile, float* packed) {
    const TileRows rows = rows_of_tile(a.rows, tile_rows, tile);
    auto* out = reinterpret_cast<std::uint32_t*>(packed) + tile * tile_pairs(a.inputs);
    pack_rows(a.in + rows.first, rows.last - rows.first, a.inputs, out);
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
    if ((hwy::SupportedTargets() & HWY_AVX3) == 0 || __builtin_cpu_supports("avx512bf16") == 0 ||
        __builtin_cpu_supports("avx512vnni") == 0) { // which whoever has the one has too
        return false;
    }
    using namespace HWY_NAMESPACE::pairs;
    static const bool faster = are_faster<Chain::pairs>();
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
