// SPDX-License-Identifier: GPL-3.0-or-later
// Matrix products. Vectors run over outputs, so that every output is one chain of multiply-adds over its
// inputs in order, block by block (sum_block). Interleaved weights are read as they lie; of others, squares
// are transposed in registers. One row and many rows, any tile shape, and every instruction set with fused
// multiply-adds so give the same bits.
#include "engine/backend/cpu/ahead.h"
#include "engine/backend/cpu/kernels.h"
#include "engine/backend/cpu/tile_rows.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/kernels_linear.cpp"
// clang-format off
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h> // must come before highway.h
#include <hwy/highway.h>
#include "engine/backend/cpu/activation-inl.h"
#include "engine/backend/cpu/packed-inl.h"
#include "engine/backend/cpu/panel-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr std::int64_t sum_block = 256; // inputs summed from zero before they join the total

// Tiles of the product of many rows: rows x vectors of outputs, one accumulator each.
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
constexpr int tile_rows = 14; // 28 accumulators, 2 weights, 1 input of 32 registers
#elif HWY_ARCH_ARM_A64
constexpr int tile_rows = 12;
#else
constexpr int tile_rows = 6; // of 16 registers
#endif
constexpr int tile_stride = (tile_rows + lanes - 1) / lanes * lanes; // floats from input to input of a tile
static_assert(sum_block % (2 * lanes) == 0 && interleave % panel_outputs == 0);

// Inputs [first, last) of one row for `lanes` outputs, added in order to `sum`.
template <class W>
HWY_INLINE V chain(D d, const LinearArgs& a, const float* HWY_RESTRICT x, std::int64_t o, std::int64_t first,
                   std::int64_t last, std::int64_t end) {
    V sum = hn::Zero(d);
    std::int64_t i = first;
    if (o + lanes <= end) {
        const auto* w = static_cast<const typename W::Stored*>(a.weight) + o * a.inputs;
        for (; i + W::columns <= last; i += W::columns) {
            for (int r = 0; r < lanes; ++r) {
                hwy::Prefetch(w + (r + lanes) * a.inputs + i);
            }
            square<W>(d, w + i, a.inputs,
                      [&](int c, V weight) HWY_ATTR { sum = hn::MulAdd(weight, hn::Set(d, x[i + c]), sum); });
        }
    }
    if (i < last) {
        ragged<W>(d, a, o, i, last - i, end,
                  [&](int c, V weight) HWY_ATTR { sum = hn::MulAdd(weight, hn::Set(d, x[i + c]), sum); });
    }
    return sum;
}

// Outputs of whole groups, 0 where the matrix is stored row by row.
std::int64_t interleaved_outputs(const LinearArgs& a) {
    return a.interleaved ? a.outputs / interleave * interleave : 0;
}

// One group of interleaved outputs: a single stream of weights, which the machine fetches ahead by itself, as
// many chains as it has vectors.
template <class W> void row_of_group(const LinearArgs& a, std::int64_t o) {
    constexpr int vectors = interleave / lanes;
    const D d;
    const float* HWY_RESTRICT x = a.in[0];
    const auto* HWY_RESTRICT w = static_cast<const typename W::Stored*>(a.weight) + o * a.inputs;
    V total[vectors];
#pragma GCC unroll 32
    for (int v = 0; v < vectors; ++v) {
        total[v] = hn::Zero(d);
    }
    for (std::int64_t first = 0; first < a.inputs; first += sum_block) {
        const std::int64_t last = std::min(first + sum_block, a.inputs);
        V sum[vectors];
#pragma GCC unroll 32
        for (int v = 0; v < vectors; ++v) {
            sum[v] = hn::Zero(d);
        }
        for (std::int64_t i = first; i < last; ++i, w += interleave) {
            const V input = hn::Set(d, x[i]);
#pragma GCC unroll 32
            for (int v = 0; v < vectors; ++v) {
                sum[v] = hn::MulAdd(W::load(d, w + v * lanes), input, sum[v]);
            }
        }
#pragma GCC unroll 32
        for (int v = 0; v < vectors; ++v) {
            total[v] = first == 0 ? sum[v] : hn::Add(total[v], sum[v]);
        }
    }
#pragma GCC unroll 32
    for (int v = 0; v < vectors; ++v) {
        hn::StoreU(total[v], d, a.out[0] + o + v * lanes);
    }
}

template <class W> void row_of(const LinearArgs& a, std::int64_t begin, std::int64_t end) {
    const D d;
    const float* x = a.in[0];
    float* out = a.out[0];
    const std::int64_t grouped = std::min(end, interleaved_outputs(a));
    for (; begin < grouped; begin += interleave) {
        row_of_group<W>(a, begin);
    }
    for (std::int64_t o = begin; o < end; o += lanes) {
        V total = hn::Zero(d);
        for (std::int64_t i = 0; i < a.inputs; i += sum_block) {
            const V sum = chain<W>(d, a, x, o, i, std::min(i + sum_block, a.inputs), end);
            total = i == 0 ? sum : hn::Add(total, sum);
        }
        if (o + lanes <= end) {
            hn::StoreU(total, d, out + o);
        } else {
            HWY_ALIGN float tail[lanes];
            hn::Store(total, d, tail);
            std::copy(tail, tail + (end - o), out + o);
        }
    }
}

template <class W>
constexpr Unpacked unpacked_as = W::type == DType::f32 ? Unpacked::floats : Unpacked::inputs;

// A block of a packed group: its sums are added to `sums`, [32 / lanes] vectors.
template <class W> void add_packed(const LinearArgs& a, std::int64_t o, std::int64_t first, V* sums) {
    const std::int64_t inputs = std::min(packed_block, a.inputs - first);
    const PackedBlock block = packed_block_at(a, o, first);
#if HWY_TARGET == HWY_SCALAR
    typename W::Stored numbers[packed_block * interleave];
    unpack_block<unpacked_as<W>>(block, inputs, numbers);
    for (std::int64_t i = 0; i < inputs; ++i) {
        for (std::int64_t j = 0; j < interleave; ++j) {
            sums[j] = hn::MulAdd(W::load(D(), numbers + i * interleave + j), hn::Set(D(), a.in[0][first + i]),
                                 sums[j]);
        }
    }
#else
    add_block<W::type>(block, a.in[0] + first, inputs / packed_quad, sums);
#endif
}

template <class W> void row_of_packed(const LinearArgs& a, std::int64_t begin, std::int64_t end) {
    static_assert(packed_block == sum_block);
    constexpr int vectors = interleave / lanes;
    const D d;
    for (std::int64_t o = begin; o < end; o += interleave) {
        V total[vectors], sum[vectors];
#pragma GCC unroll 32
        for (int v = 0; v < vectors; ++v) {
            total[v] = hn::Zero(d);
        }
        for (std::int64_t first = 0; first < a.inputs; first += packed_block) {
#pragma GCC unroll 32
            for (int v = 0; v < vectors; ++v) {
                sum[v] = hn::Zero(d);
            }
            add_packed<W>(a, o, first, sum);
#pragma GCC unroll 32
            for (int v = 0; v < vectors; ++v) {
                total[v] = first == 0 ? sum[v] : hn::Add(total[v], sum[v]);
            }
        }
        HWY_ALIGN float last[interleave];
        float* const out = o + interleave <= end ? a.out[0] + o : last;
#pragma GCC unroll 32
        for (int v = 0; v < vectors; ++v) {
            hn::StoreU(total[v], d, out + v * lanes);
        }
        if (out == last) {
            std::copy(last, last + (end - o), a.out[0] + o);
        }
    }
}

// Bias and activation of outputs [begin, end).
void finish(const LinearArgs& a, float* out, std::int64_t begin, std::int64_t end) {
    if (a.bias) {
        for (std::int64_t o = begin; o < end; ++o) {
            out[o] += a.bias[o];
        }
    }
    activate_in_place(D(), a.activation, out + begin, end - begin);
}

void RowKernel(const LinearArgs& a, std::int64_t begin, std::int64_t end) {
    switch (a.type) {
    case DType::bf16:
        a.packed ? row_of_packed<Bf16>(a, begin, end) : row_of<Bf16>(a, begin, end);
        break;
    case DType::f16:
        row_of<F16>(a, begin, end);
        break;
    default:
        a.packed ? row_of_packed<F32>(a, begin, end) : row_of<F32>(a, begin, end);
    }
    finish(a, a.out[0], begin, end);
}

std::int64_t TilesKernel(std::int64_t rows) {
    return tiles_of(rows, tile_rows);
}

std::int64_t TileFloatsKernel(std::int64_t inputs) {
    return tile_stride * inputs;
}

// A tile's numbers go past the caches, where they fill whole lines: all threads read them, and a line that
// another processor has read must first be taken back from it, which takes ten times as long where the two
// share no cache.
HWY_INLINE void put_in_tile(D d, V v, float* to) {
    if constexpr (tile_stride == lanes) {
        hn::Stream(v, d, to);
    } else {
        hn::StoreU(v, d, to);
    }
}

void PackTileKernel(const LinearArgs& a, std::int64_t tile, float* packed) {
    const D d;
    const TileRows rows = rows_of_tile(a.rows, tile_rows, tile);
    float* HWY_RESTRICT out = packed + tile * TileFloatsKernel(a.inputs);
    for (std::int64_t r = 0; r < tile_stride; r += lanes) {
        const float* in[lanes];
        for (int j = 0; j < lanes; ++j) {
            in[j] = a.in[std::min(rows.first + r + j, rows.last - 1)];
        }
        std::int64_t i = 0;
        for (; i + lanes <= a.inputs; i += lanes) {
            V v[lanes];
#pragma GCC unroll 16
            for (int j = 0; j < lanes; ++j) {
                v[j] = hn::LoadU(d, in[j] + i);
            }
            transpose(d, v);
#pragma GCC unroll 16
            for (int j = 0; j < lanes; ++j) {
                put_in_tile(d, v[j], out + (i + j) * tile_stride + r);
            }
        }
        for (; i < a.inputs; ++i) {
            for (int j = 0; j < lanes; ++j) {
                out[i * tile_stride + r + j] = in[j][i];
            }
        }
    }
    hwy::FlushStream(); // before others are told that the tile is there
}

// What is done beside a tile, with every ahead_step inputs: the next weights are fetched.
class Fetching {
  public:
    HWY_INLINE Fetching(const AheadShare& share, std::int64_t depth)
        : share_(share), lines_(share.each_of(depth / ahead_step)) {}
    HWY_INLINE void step() { share_.fetch(lines_); }

  private:
    AheadShare share_;
    std::int64_t lines_;
};
// What a tile makes that of (Ahead says why it does so itself).
struct Fetch {
    const Ahead& ahead;
    std::int64_t tile;
    HWY_INLINE Fetching begin(std::int64_t depth) const { return {ahead.share(tile), depth}; }
};

// In the first tile of a packed block its own weights are also taken apart, just before they are multiplied.
template <class W> class Unpacking {
  public:
    static_assert(packed_quad == ahead_step);
    HWY_INLINE Unpacking(const PackedBlock& block, typename W::Stored* numbers, const Fetching& fetching)
        : unpacker_(block), numbers_(numbers), fetching_(fetching) {}
    HWY_INLINE void step() {
        unpacker_.next(numbers_);
        numbers_ += unpacker_.quad_numbers;
        fetching_.step();
    }

  private:
    Unpacker<unpacked_as<W>> unpacker_;
    typename W::Stored* numbers_;
    Fetching fetching_;
};
template <class W> struct UnpackAndFetch {
    const PackedBlock& block;
    typename W::Stored* numbers;
    const Ahead& ahead;
    HWY_INLINE Unpacking<W> begin(std::int64_t depth) const {
        return {block, numbers, Fetch{ahead, 0}.begin(depth)};
    }
};
// Where that pays though the compiler runs out of registers in the largest tiles.
constexpr bool unpacks_beside = tile_rows > 6 && panel_outputs == interleave;

// A tile of Rows x panel_vectors over `depth` inputs, whose weights are `stride` numbers apart; the sums are
// stored (first block) or added.
template <class W, int Rows, class Beside>
HWY_NOINLINE void multiply(const float* HWY_RESTRICT in, const typename W::Stored* weights,
                           std::int64_t stride, std::int64_t depth, const Beside& what, float* const* out,
                           std::int64_t o, std::int64_t count, bool add) {
    const D d;
    auto beside = what.begin(depth);
    V sum0[Rows], sum1[Rows];
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
        sum0[r] = sum1[r] = hn::Zero(d);
    }
    for (std::int64_t i = 0; i < depth; ++i, in += tile_stride, weights += stride) {
        if (i % ahead_step == 0) {
            beside.step();
            if (const std::int64_t row = i / ahead_step; row < Rows) {
                fetch_sums(out[row] + o);
            }
        }
        const V w0 = W::load(d, weights), w1 = W::load(d, weights + lanes);
#pragma GCC unroll 16
        for (int r = 0; r < Rows; ++r) {
            const V x = hn::Set(d, in[r]);
            sum0[r] = hn::MulAdd(w0, x, sum0[r]);
            sum1[r] = hn::MulAdd(w1, x, sum1[r]);
        }
    }
    if (count >= panel_outputs) {
#pragma GCC unroll 16
        for (int r = 0; r < Rows; ++r) {
            float* to = out[r] + o;
            hn::StoreU(add ? hn::Add(hn::LoadU(d, to), sum0[r]) : sum0[r], d, to);
            hn::StoreU(add ? hn::Add(hn::LoadU(d, to + lanes), sum1[r]) : sum1[r], d, to + lanes);
        }
        return;
    }
    HWY_ALIGN float tail[panel_outputs];
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
        hn::Store(sum0[r], d, tail);
        hn::Store(sum1[r], d, tail + lanes);
        for (std::int64_t j = 0; j < count; ++j) {
            out[r][o + j] = add ? out[r][o + j] + tail[j] : tail[j];
        }
    }
}

template <class W, int Rows, class Beside>
void multiply_rows(std::int64_t rows, const float* in, const typename W::Stored* weights, std::int64_t stride,
                   std::int64_t depth, const Beside& beside, float* const* out, std::int64_t o,
                   std::int64_t count, bool add) {
    if constexpr (Rows > 0) {
        rows == Rows
            ? multiply<W, Rows>(in, weights, stride, depth, beside, out, o, count, add)
            : multiply_rows<W, Rows - 1>(rows, in, weights, stride, depth, beside, out, o, count, add);
    }
}

// Inputs from `first` on of outputs from o on, which lie side by side.
template <class W>
const typename W::Stored* in_group(const LinearArgs& a, std::int64_t o, std::int64_t first) {
    return static_cast<const typename W::Stored*>(a.weight) +
           (o / interleave * a.inputs + first) * interleave + o % interleave;
}

template <class W>
HWY_NOINLINE void widen_panel(const typename W::Stored* HWY_RESTRICT w, std::int64_t inputs,
                              float* HWY_RESTRICT panel) {
    const D d;
    for (std::int64_t i = 0; i < inputs; ++i, w += interleave, panel += panel_outputs) {
#pragma GCC unroll 2
        for (int v = 0; v < panel_vectors; ++v) {
            hn::Store(W::load(d, w + v * lanes), d, panel + v * lanes);
        }
    }
}

// Whether a tile reads interleaved weights as they lie. Where the widening of two vectors hides behind 28
// multiply-adds that is cheaper than a panel's stores.
template <class W> constexpr bool in_place = sizeof(typename W::Stored) == sizeof(float) || tile_rows > 6;

// Tiles from `tile` on of outputs from o on over the inputs [first, last).
template <class W>
void all_tiles(const LinearArgs& a, const float* packed, const typename W::Stored* weights,
               std::int64_t stride, const Ahead& ahead, std::int64_t o, std::int64_t end, std::int64_t first,
               std::int64_t last, std::int64_t tile = 0) {
    for (const std::int64_t tiles = TilesKernel(a.rows); tile < tiles; ++tile) {
        const TileRows rows = rows_of_tile(a.rows, tile_rows, tile);
        multiply_rows<W, tile_rows>(
            rows.last - rows.first, packed + tile * TileFloatsKernel(a.inputs) + first * tile_stride, weights,
            stride, last - first, Fetch{ahead, tile}, a.out + rows.first, o, end - o, first > 0);
    }
}

// The same with weights that lie side by side.
template <class W>
void all_tiles_of_group(const LinearArgs& a, const float* packed, const typename W::Stored* weights,
                        const Ahead& ahead, std::int64_t o, std::int64_t end, std::int64_t first,
                        std::int64_t last) {
    if constexpr (in_place<W>) {
        all_tiles<W>(a, packed, weights, interleave, ahead, o, end, first, last);
    } else {
        HWY_ALIGN float panel[sum_block * panel_outputs];
        widen_panel<W>(weights, last - first, panel);
        all_tiles<F32>(a, packed, panel, panel_outputs, ahead, o, end, first, last);
    }
}

template <class W>
void rows_by_panels(const LinearArgs& a, const float* packed, std::int64_t begin, std::int64_t end) {
    const std::int64_t tiles = TilesKernel(a.rows), grouped = interleaved_outputs(a);
    for (std::int64_t i = 0; i < a.inputs; i += sum_block) {
        const std::int64_t last = std::min(i + sum_block, a.inputs);
        for (std::int64_t o = begin; o < end; o += panel_outputs) {
            const Ahead ahead(panel_after(a, {o, i}, {panel_outputs, sum_block}, begin, end), tiles);
            if (o + panel_outputs <= grouped) {
                all_tiles_of_group<W>(a, packed, in_group<W>(a, o, i), ahead, o, end, i, last);
                continue;
            }
            HWY_ALIGN float panel[sum_block * panel_outputs];
            pack_panel<W>(a, o, end, i, last, panel);
            all_tiles<F32>(a, packed, panel, panel_outputs, ahead, o, end, i, last);
        }
    }
}

// A block of a packed group as a panel, all tiles.
template <class W>
void tiles_of_block(const LinearArgs& a, const float* packed, std::int64_t o, std::int64_t end,
                    const Ahead& ahead, std::int64_t first, std::int64_t last, typename W::Stored* numbers) {
    const PackedBlock block = packed_block_at(a, o, first);
    if constexpr (unpacks_beside) {
        const UnpackAndFetch<W> beside{block, numbers, ahead};
        multiply_rows<W, tile_rows>(rows_of_tile(a.rows, tile_rows, 0).last, packed + first * tile_stride,
                                    numbers, interleave, last - first, beside, a.out, o, end - o, first > 0);
        all_tiles<W>(a, packed, numbers, interleave, ahead, o, end, first, last, 1);
    } else {
        unpack_block<unpacked_as<W>>(block, last - first, numbers);
        all_tiles_of_group<W>(a, packed, numbers, ahead, o, end, first, last);
    }
}

template <class W>
void rows_by_packed(const LinearArgs& a, const float* packed, std::int64_t begin, std::int64_t end) {
    HWY_ALIGN typename W::Stored numbers[packed_block * interleave];
    const std::int64_t tiles = TilesKernel(a.rows);
    for (std::int64_t i = 0; i < a.inputs; i += packed_block) {
        const std::int64_t last = std::min(i + packed_block, a.inputs);
        for (std::int64_t o = begin; o < end; o += panel_outputs) {
            const Ahead ahead(panel_after(a, {o, i}, {panel_outputs, packed_block}, begin, end), tiles);
            if (o % interleave == 0) {
                tiles_of_block<W>(a, packed, o, end, ahead, i, last, numbers);
            } else {
                all_tiles_of_group<W>(a, packed, numbers + o % interleave, ahead, o, end, i, last);
            }
        }
    }
}

void FinishKernel(const LinearArgs& a, std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = 0; r < a.rows; ++r) {
        finish(a, a.out[r], begin, end);
    }
}

void RowsKernel(const LinearArgs& a, const float* packed, std::int64_t begin, std::int64_t end) {
    switch (a.type) {
    case DType::bf16:
        a.packed ? rows_by_packed<Bf16>(a, packed, begin, end) : rows_by_panels<Bf16>(a, packed, begin, end);
        break;
    case DType::f16:
        rows_by_panels<F16>(a, packed, begin, end);
        break;
    default:
        a.packed ? rows_by_packed<F32>(a, packed, begin, end) : rows_by_panels<F32>(a, packed, begin, end);
    }
    FinishKernel(a, begin, end);
}

template <class W> void widen_of(const void* in, std::int64_t count, float* out) {
    const D d;
    const auto* p = static_cast<const typename W::Stored*>(in);
    std::int64_t i = 0;
    for (; i + lanes <= count; i += lanes) {
        hn::StoreU(W::load(d, p + i), d, out + i);
    }
    for (; i < count; ++i) {
        out[i] = W::scalar(p[i]);
    }
}

void WidenKernel(DType type, const void* in, std::int64_t count, float* out) {
    switch (type) {
    case DType::bf16:
        return widen_of<Bf16>(in, count, out);
    case DType::f16:
        return widen_of<F16>(in, count, out);
    default:
        return widen_of<F32>(in, count, out);
    }
}

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ergo::cpu {

HWY_EXPORT(RowKernel);
HWY_EXPORT(TilesKernel);
HWY_EXPORT(TileFloatsKernel);
HWY_EXPORT(PackTileKernel);
HWY_EXPORT(RowsKernel);
HWY_EXPORT(WidenKernel);
HWY_EXPORT(FinishKernel);

void linear_row(const LinearArgs& args, std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(RowKernel)(args, begin, end);
}

std::int64_t row_tiles(std::int64_t rows) {
    return HWY_DYNAMIC_DISPATCH(TilesKernel)(rows);
}

std::int64_t tile_floats(std::int64_t inputs) {
    return HWY_DYNAMIC_DISPATCH(TileFloatsKernel)(inputs);
}

void pack_tile(const LinearArgs& args, std::int64_t tile, float* packed) {
    HWY_DYNAMIC_DISPATCH(PackTileKernel)(args, tile, packed);
}

void linear_rows(const LinearArgs& args, const float* packed, std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(RowsKernel)(args, packed, begin, end);
}

void finish_rows(const LinearArgs& args, std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(FinishKernel)(args, begin, end);
}

void widen(DType type, const void* in, std::int64_t count, float* out) {
    HWY_DYNAMIC_DISPATCH(WidenKernel)(type, in, count, out);
}

} // namespace ergo::cpu
#endif // HWY_ONCE
