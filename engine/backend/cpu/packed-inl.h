// SPDX-License-Identifier: GPL-3.0-or-later
// Packed matrices (packed_floats.h), read by the vector; included once per instruction set by the kernel
// files.
#if defined(ERGO_CPU_PACKED_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ERGO_CPU_PACKED_INL_H_
#undef ERGO_CPU_PACKED_INL_H_
#else
#define ERGO_CPU_PACKED_INL_H_
#endif

#include "engine/backend/cpu/packed_floats.h"
#include "engine/backend/cpu/weights-inl.h"

#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

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
/// The two inputs of a pair, whose tails are at `tails` if they have any.
struct PairInputs {
    V first, second;
};
template <DType type> HWY_INLINE PairInputs inputs_of(V32 pairs, const std::uint8_t* tails) {
    namespace hn = hwy::HWY_NAMESPACE;
    const D32 d;
    const V32 low = hn::Set(d, 0xffffu), high = hn::Set(d, 0xffff0000u), first = hn::ShiftLeft<16>(pairs);
    if constexpr (type == DType::f32) {
        const V32 both = hn::LoadU(d, reinterpret_cast<const std::uint32_t*>(tails));
        return {hn::BitCast(D(), hn::OrAnd(first, both, low)),
                hn::BitCast(D(), hn::OrAnd(hn::ShiftRight<16>(both), pairs, high))};
    } else {
        return {hn::BitCast(D(), first), hn::BitCast(D(), hn::And(pairs, high))};
    }
}
/// Where the tails of a slice's pairs begin: of the first two inputs, of the outputs in `PairSlice::first`.
constexpr int tails_at(int slice) {
    return static_cast<int>(packed_tails_at) + slice * slice_bytes;
}
constexpr int tails_of_pair = 2 * 64, tails_of_second = 64; // bytes on: the next two inputs, 16 outputs

/// Adds two inputs x of all outputs to their sums: [32 / lanes] vectors, of which these are 2.
template <DType type>
HWY_INLINE void add_pair(const PairSlice& pair, const std::uint8_t* tails, const float* x, V& first,
                         V& second) {
    namespace hn = hwy::HWY_NAMESPACE;
    const V x0 = hn::Set(D(), x[0]), x1 = hn::Set(D(), x[1]);
    const PairInputs one = inputs_of<type>(pair.first, tails);
    first = hn::MulAdd(one.first, x0, first);
    first = hn::MulAdd(one.second, x1, first);
    const PairInputs other = inputs_of<type>(pair.second, tails + tails_of_second);
    second = hn::MulAdd(other.first, x0, second);
    second = hn::MulAdd(other.second, x1, second);
}
template <DType type, class Upper>
HWY_INLINE void add_quad(const std::uint8_t* quad, const float* x, const Upper& upper_of, V* sums) {
#pragma GCC unroll 4
    for (int s = 0; s < slices; ++s) {
        const UpperSlice upper = upper_of(s * slice_bytes);
        const std::uint8_t *const lower = quad + 64 + s * slice_bytes, *const tails = quad + tails_at(s);
        add_pair<type>(pairs_of_slice(lower, upper.first), tails, x, sums[s], sums[slices + s]);
        add_pair<type>(pairs_of_slice(lower + 64, upper.second), tails + tails_of_pair, x + 2, sums[s],
                       sums[slices + s]);
    }
}

/// A quad with exceptions, up to `last`, which are taken out. The rare way round, through memory.
template <DType type>
HWY_NOINLINE void add_exceptional_quad(const std::uint8_t* quad, V8 table, const std::uint32_t*& exception,
                                       const std::uint32_t* last, const float* x, V* sums) {
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
    add_quad<type>(
        quad, x,
        [&](int at) HWY_ATTR {
            return UpperSlice{hn::LoadU(d, upper + at), hn::LoadU(d, upper + 64 + at)};
        },
        sums);
}

/// The product of a row with one block of 32 outputs: sums [32 / lanes], of `quads` times 4 inputs in order.
template <DType type>
HWY_INLINE void add_block(const PackedBlock& block, const float* x, std::int64_t quads, V* sums) {
    const V8 table = upper_bytes(block.base);
    const std::uint8_t* quad = block.quads;
    const std::uint32_t* exception = block.exceptions;
    for (std::int64_t q = 0; q < quads;) {
        const std::int64_t plain = exception < block.last ? *exception >> 16 : quads;
        for (; q < plain; ++q, quad += packed_quad_bytes(type), x += packed_quad) {
            add_quad<type>(
                quad, x, [&](int at) HWY_ATTR { return upper_of_codes(table, quad + at); }, sums);
        }
        if (q < quads) {
            add_exceptional_quad<type>(quad, table, exception, block.last, x, sums);
            ++q, quad += packed_quad_bytes(type), x += packed_quad;
        }
    }
}
#endif

/// Where numbers of an unpacked block lie.
enum class Unpacked {
    inputs, ///< bf16 [inputs][32]
    pairs,  ///< bf16 [inputs / 2][32][2]
    floats  ///< float32 [inputs][32]
};
template <Unpacked order>
using UnpackedNumber = std::conditional_t<order == Unpacked::floats, float, std::uint16_t>;

template <Unpacked order> constexpr std::int64_t unpacked_at(std::int64_t output, std::int64_t input) {
    return order == Unpacked::pairs ? (input / 2 * interleave + output) * 2 + input % 2
                                    : input * interleave + output;
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

#if HWY_TARGET != HWY_SCALAR
HWY_INLINE void store_floats_of(const PairSlice& pair, const std::uint8_t* tails, int slice, float* to) {
    namespace hn = hwy::HWY_NAMESPACE;
    float* const here = to + slice * lanes;
    const PairInputs one = inputs_of<DType::f32>(pair.first, tails);
    const PairInputs other = inputs_of<DType::f32>(pair.second, tails + tails_of_second);
    hn::StoreU(one.first, D(), here);
    hn::StoreU(other.first, D(), here + interleave / 2);
    hn::StoreU(one.second, D(), here + interleave);
    hn::StoreU(other.second, D(), here + interleave + interleave / 2);
}
template <Unpacked order>
HWY_INLINE void store_pair(const PairSlice& pair, const std::uint8_t* tails, int slice,
                           UnpackedNumber<order>* to) {
    if constexpr (order == Unpacked::floats) {
        store_floats_of(pair, tails, slice, to);
    } else {
        store_pairs_of<order>(pair, slice, to);
    }
}
#endif

inline void put_upper(std::uint32_t exception, std::uint16_t& number) {
    number = static_cast<std::uint16_t>((number & 0xffu) | (exception & 0xffu) << 8);
}
inline void put_upper(std::uint32_t exception, float& number) {
    number = std::bit_cast<float>((std::bit_cast<std::uint32_t>(number) & 0xffffffu) | exception << 24);
}

#if HWY_TARGET == HWY_SCALAR
template <Unpacked order>
void unpack_numbers(const std::uint8_t* quad, std::uint8_t base, UnpackedNumber<order>* to) {
    for (std::int64_t i = 0; i < packed_quad; ++i) {
        for (std::int64_t o = 0; o < interleave; ++o) {
            const std::int64_t place = packed_place(o, i);
            const std::uint32_t upper = upper_of_code(quad[place % 64] >> place / 64 * 4, base);
            const std::uint32_t half = upper << 8 | quad[64 + place];
            auto& number = to[unpacked_at<order>(o, i)];
            if constexpr (order == Unpacked::floats) {
                std::uint16_t tail;
                std::memcpy(&tail, quad + packed_tails_at + packed_tail(o, i) * 2, sizeof tail);
                number = std::bit_cast<float>(half << 16 | tail);
            } else {
                number = static_cast<std::uint16_t>(half);
            }
        }
    }
}
#else
template <Unpacked order>
HWY_INLINE void unpack_numbers(const std::uint8_t* quad, V8 table, UnpackedNumber<order>* to) {
#pragma GCC unroll 4
    for (int s = 0; s < slices; ++s) {
        const UpperSlice upper = upper_of_codes(table, quad + s * slice_bytes);
        const std::uint8_t *const lower = quad + 64 + s * slice_bytes, *const tails = quad + tails_at(s);
        store_pair<order>(pairs_of_slice(lower, upper.first), tails, s, to);
        store_pair<order>(pairs_of_slice(lower + 64, upper.second), tails + tails_of_pair, s,
                          to + 2 * interleave);
    }
}
#endif

/// A block as the kernels of many rows read it, made once for all of them, quad after quad.
template <Unpacked order> class Unpacker {
  public:
    static constexpr std::int64_t quad_numbers = packed_quad * interleave;

    HWY_INLINE explicit Unpacker(const PackedBlock& block)
        : quad_(block.quads), exception_(block.exceptions), last_(block.last),
#if HWY_TARGET == HWY_SCALAR
          table_(block.base)
#else
          table_(upper_bytes(block.base))
#endif
    {
    }

    /// The next quad, to `to`.
    HWY_INLINE void next(UnpackedNumber<order>* to) {
        unpack_numbers<order>(quad_, table_, to);
        while (exception_ < last_ && *exception_ >> 16 == number_) {
            const PackedSpot spot = packed_spot(*exception_);
            put_upper(*exception_, to[unpacked_at<order>(spot.output, spot.input % packed_quad)]);
            ++exception_;
        }
        quad_ += packed_quad_bytes(order == Unpacked::floats ? DType::f32 : DType::bf16);
        ++number_;
    }

  private:
    const std::uint8_t* quad_;
    const std::uint32_t *exception_, *last_;
    std::uint32_t number_ = 0;
#if HWY_TARGET == HWY_SCALAR
    std::uint8_t table_;
#else
    V8 table_;
#endif
};

/// All of a block of `inputs` inputs.
template <Unpacked order>
HWY_NOINLINE void unpack_block(const PackedBlock& block, std::int64_t inputs, UnpackedNumber<order>* to) {
    Unpacker<order> unpacker(block);
    for (std::int64_t i = 0; i < inputs; i += packed_quad, to += unpacker.quad_numbers) {
        unpacker.next(to);
    }
}

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
