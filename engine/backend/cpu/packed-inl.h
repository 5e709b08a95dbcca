// SPDX-License-Identifier: GPL-3.0-or-later
// Matrices in bf16 packed to three quarters (packed_bf16.h), read by the vector; included once per
// instruction set by the kernel files.
#if defined(ERGO_CPU_PACKED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ERGO_CPU_PACKED_INL_H_
#undef ERGO_CPU_PACKED_INL_H_
#else
#define ERGO_CPU_PACKED_INL_H_
#endif

#include "engine/backend/cpu/packed_bf16.h"
#include "engine/backend/cpu/weights-inl.h"

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

#if HWY_TARGET != HWY_SCALAR // which goes number by number
using D8 = hwy::HWY_NAMESPACE::Repartition<std::uint8_t, D>;
using V8 = hwy::HWY_NAMESPACE::Vec<D8>;
using D32 = hwy::HWY_NAMESPACE::RebindToUnsigned<D>;
using V32 = hwy::HWY_NAMESPACE::Vec<D32>;

constexpr int slice_bytes = 4 * lanes; // of the 64 that two inputs of all outputs have
constexpr int slices = 64 / slice_bytes;

/// Upper bytes by code, twice: without and with the sign.
HWY_INLINE V8 upper_bytes(std::uint8_t base) {
    alignas(16) std::uint8_t table[16] = {};
    for (int code = 1; code <= packed_codes; ++code) {
        table[code] = static_cast<std::uint8_t>(base + code);
    }
    for (int code = 0; code < 8; ++code) {
        table[8 + code] = table[code] | 0x80;
    }
    return hwy::HWY_NAMESPACE::LoadDup128(D8(), table);
}

/// The upper bytes of a slice: of inputs 0 and 1, of inputs 2 and 3.
struct UpperSlice {
    V8 first, second;
};
HWY_INLINE UpperSlice upper_of_codes(V8 table, const std::uint8_t* codes) {
    namespace hn = hwy::HWY_NAMESPACE;
    const D8 d;
    const hn::Repartition<std::uint16_t, D8> d16;
    const V8 both = hn::LoadU(d, codes), low = hn::Set(d, 15);
    const V8 high = hn::BitCast(d, hn::ShiftRight<4>(hn::BitCast(d16, both)));
    return {hn::TableLookupBytes(table, hn::And(both, low)), hn::TableLookupBytes(table, hn::And(high, low))};
}

/// Pairs of inputs of `lanes` outputs each: of slice s, those from s * lanes and from 16 + s * lanes on.
struct PairSlice {
    V32 first, second;
};
HWY_INLINE PairSlice pairs_of_slice(const std::uint8_t* lower, V8 upper) {
    namespace hn = hwy::HWY_NAMESPACE;
    const D8 d;
    const V8 low = hn::LoadU(d, lower);
    return {hn::BitCast(D32(), hn::InterleaveLower(d, low, upper)),
            hn::BitCast(D32(), hn::InterleaveUpper(d, low, upper))};
}
HWY_INLINE V first_input(V32 pairs) {
    return hwy::HWY_NAMESPACE::BitCast(D(), hwy::HWY_NAMESPACE::ShiftLeft<16>(pairs));
}
HWY_INLINE V second_input(V32 pairs) {
    namespace hn = hwy::HWY_NAMESPACE;
    return hn::BitCast(D(), hn::And(pairs, hn::Set(D32(), 0xffff0000u)));
}

/// Adds two inputs x of all outputs to their sums: [32 / lanes] vectors, of which these are 2.
HWY_INLINE void add_pair(const PairSlice& pair, const float* x, V& first, V& second) {
    namespace hn = hwy::HWY_NAMESPACE;
    const V x0 = hn::Set(D(), x[0]), x1 = hn::Set(D(), x[1]);
    first = hn::MulAdd(first_input(pair.first), x0, first);
    first = hn::MulAdd(second_input(pair.first), x1, first);
    second = hn::MulAdd(first_input(pair.second), x0, second);
    second = hn::MulAdd(second_input(pair.second), x1, second);
}
template <class Upper>
HWY_INLINE void add_quad(const std::uint8_t* quad, const float* x, const Upper& upper_of, V* sums) {
#pragma GCC unroll 4
    for (int s = 0; s < slices; ++s) {
        const UpperSlice upper = upper_of(s * slice_bytes);
        const std::uint8_t* const lower = quad + 64 + s * slice_bytes;
        add_pair(pairs_of_slice(lower, upper.first), x, sums[s], sums[slices + s]);
        add_pair(pairs_of_slice(lower + 64, upper.second), x + 2, sums[s], sums[slices + s]);
    }
}

/// A quad with exceptions, up to `last`, which are taken out. The rare way round, through memory.
inline HWY_NOINLINE void add_exceptional_quad(const std::uint8_t* quad, V8 table,
                                              const std::uint32_t*& exception, const std::uint32_t* last,
                                              const float* x, V* sums) {
    namespace hn = hwy::HWY_NAMESPACE;
    const D8 d;
    HWY_ALIGN std::uint8_t upper[128];
    for (int s = 0; s < 64; s += slice_bytes) {
        const UpperSlice some = upper_of_codes(table, quad + s);
        hn::StoreU(some.first, d, upper + s);
        hn::StoreU(some.second, d, upper + 64 + s);
    }
    for (const std::uint32_t number = *exception >> 16; exception < last && *exception >> 16 == number;
         ++exception) {
        upper[*exception >> 8 & 0xff] = static_cast<std::uint8_t>(*exception);
    }
    add_quad(
        quad, x,
        [&](int at) HWY_ATTR {
            return UpperSlice{hn::LoadU(d, upper + at), hn::LoadU(d, upper + 64 + at)};
        },
        sums);
}

/// The product of a row with one block of 32 outputs: sums [32 / lanes], of `quads` times 4 inputs in order.
HWY_INLINE void add_block(const PackedBlock& block, const float* x, std::int64_t quads, V* sums) {
    const V8 table = upper_bytes(block.base);
    const std::uint8_t* quad = block.quads;
    const std::uint32_t* exception = block.exceptions;
    for (std::int64_t q = 0; q < quads;) {
        const std::int64_t plain = exception < block.last ? *exception >> 16 : quads;
        for (; q < plain; ++q, quad += packed_quad_bytes, x += packed_quad) {
            add_quad(
                quad, x, [&](int at) HWY_ATTR { return upper_of_codes(table, quad + at); }, sums);
        }
        if (q < quads) {
            add_exceptional_quad(quad, table, exception, block.last, x, sums);
            ++q, quad += packed_quad_bytes, x += packed_quad;
        }
    }
}
#endif

/// Where numbers of an unpacked block lie.
enum class Unpacked {
    inputs, ///< [inputs][32]
    pairs   ///< [inputs / 2][32][2]
};

template <Unpacked order> constexpr std::int64_t unpacked_at(std::int64_t output, std::int64_t input) {
    return order == Unpacked::inputs ? input * interleave + output
                                     : (input / 2 * interleave + output) * 2 + input % 2;
}

#if HWY_TARGET != HWY_SCALAR
template <Unpacked order>
HWY_INLINE void store_pairs_of(const PairSlice& pair, int slice, std::uint16_t* to) {
    namespace hn = hwy::HWY_NAMESPACE;
    const hn::Repartition<std::uint16_t, D> d16;
    const auto first = hn::BitCast(d16, pair.first), second = hn::BitCast(d16, pair.second);
    if constexpr (order == Unpacked::pairs) {
        hn::StoreU(first, d16, to + 2 * slice * lanes);
        hn::StoreU(second, d16, to + interleave + 2 * slice * lanes);
    } else {
        const auto even = hn::ConcatEven(d16, second, first), odd = hn::ConcatOdd(d16, second, first);
        if constexpr (slices == 1) {
            hn::StoreU(even, d16, to);
            hn::StoreU(odd, d16, to + interleave);
        } else {
            const hn::Half<decltype(d16)> half;
            std::uint16_t* const here = to + slice * lanes;
            hn::StoreU(hn::LowerHalf(half, even), half, here);
            hn::StoreU(hn::UpperHalf(half, even), half, here + interleave / 2);
            hn::StoreU(hn::LowerHalf(half, odd), half, here + interleave);
            hn::StoreU(hn::UpperHalf(half, odd), half, here + interleave + interleave / 2);
        }
    }
}
#endif

/// A block of `inputs` inputs as the kernels of many rows read it, made once for all of them.
template <Unpacked order>
HWY_NOINLINE void unpack_block(const PackedBlock& block, std::int64_t inputs, std::uint16_t* to) {
#if HWY_TARGET == HWY_SCALAR
    for (std::int64_t i = 0; i < inputs; ++i) {
        for (std::int64_t o = 0; o < interleave; ++o) {
            const std::uint8_t* const quad = block.quads + i / packed_quad * packed_quad_bytes;
            const std::int64_t place = packed_place(o, i);
            to[unpacked_at<order>(o, i)] = static_cast<std::uint16_t>(
                upper_of_code(quad[place % 64] >> place / 64 * 4, block.base) << 8 | quad[64 + place]);
        }
    }
#else
    const V8 table = upper_bytes(block.base);
    const std::uint8_t* quad = block.quads;
    std::uint16_t* next = to;
    for (std::int64_t q = 0; q < inputs / packed_quad;
         ++q, quad += packed_quad_bytes, next += packed_quad * interleave) {
#pragma GCC unroll 4
        for (int s = 0; s < slices; ++s) {
            const UpperSlice upper = upper_of_codes(table, quad + s * slice_bytes);
            const std::uint8_t* const lower = quad + 64 + s * slice_bytes;
            store_pairs_of<order>(pairs_of_slice(lower, upper.first), s, next);
            store_pairs_of<order>(pairs_of_slice(lower + 64, upper.second), s, next + 2 * interleave);
        }
    }
#endif
    for (const std::uint32_t* each = block.exceptions; each < block.last; ++each) {
        const PackedSpot spot = packed_spot(*each);
        std::uint16_t& number = to[unpacked_at<order>(spot.output, spot.input)];
        number = static_cast<std::uint16_t>((number & 0xffu) | (*each & 0xffu) << 8);
    }
}

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
