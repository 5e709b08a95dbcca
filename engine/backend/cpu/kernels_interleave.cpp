// SPDX-License-Identifier: GPL-3.0-or-later
// Interleaving of matrices while they are loaded: squares of eight 16-bit or four 32-bit elements, transposed
// in registers. Nothing but places changes, so every instruction set gives the same bits.
#include "engine/backend/cpu/kernels.h"

#include <algorithm>
#include <cstdint>
#include <memory>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/kernels_interleave.cpp"
// clang-format off
#include <hwy/foreach_target.h> // must come before highway.h
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Columns [0, result) of `interleave` rows, each `stride` elements after the one before; as many as squares
// cover.
#if HWY_TARGET == HWY_SCALAR // vectors of one lane
template <class T> std::int64_t squares(const T*, std::int64_t, std::int64_t, T*) {
    return 0;
}
#else
template <class T> std::int64_t squares(const T* rows, std::int64_t stride, std::int64_t inputs, T* to) {
    constexpr int side = 16 / sizeof(T); // of a square: elements of 128 bits
    constexpr int rounds = side == 8 ? 3 : 2;
    const hn::FixedTag<T, side> d;
    using V = hn::Vec<decltype(d)>;
    const std::int64_t whole = inputs / side * side;
    for (std::int64_t i = 0; i < whole; i += side) {
        for (std::int64_t o = 0; o < interleave; o += side) {
            V v[side], shuffled[side];
#pragma GCC unroll 8
            for (int r = 0; r < side; ++r) {
                v[r] = hn::LoadU(d, rows + (o + r) * stride + i);
            }
            // Each round turns the number of an element, its row's bits before its column's, by one bit to
            // the left: after log2(side) of them rows and columns have changed places.
#pragma GCC unroll 3
            for (int round = 0; round < rounds; ++round) {
#pragma GCC unroll 4
                for (int k = 0; k < side / 2; ++k) {
                    shuffled[2 * k] = hn::InterleaveLower(d, v[k], v[k + side / 2]);
                    shuffled[2 * k + 1] = hn::InterleaveUpper(d, v[k], v[k + side / 2]);
                }
                std::copy_n(shuffled, side, v);
            }
#pragma GCC unroll 8
            for (int c = 0; c < side; ++c) {
                hn::StoreU(v[c], d, to + (i + c) * interleave + o);
            }
        }
    }
    return whole;
}
#endif

template <class T> void groups_of(std::int64_t inputs, std::int64_t begin, std::int64_t end, T* weight) {
    // Rows an odd number of cache lines apart, or those of a power of two would all want the same place
    // there.
    constexpr std::int64_t line = 64 / sizeof(T);
    const std::int64_t stride = ((inputs + line - 1) / line | 1) * line;
    const auto rows = std::make_unique_for_overwrite<T[]>(static_cast<std::size_t>(interleave * stride));
    for (std::int64_t group = begin; group < end; ++group) {
        T* const to = weight + group * interleave * inputs;
        for (std::int64_t o = 0; o < interleave; ++o) {
            std::copy_n(to + o * inputs, inputs, rows.get() + o * stride);
        }
        for (std::int64_t i = squares(rows.get(), stride, inputs, to); i < inputs; ++i) {
            for (std::int64_t o = 0; o < interleave; ++o) {
                to[i * interleave + o] = rows[static_cast<std::size_t>(o * stride + i)];
            }
        }
    }
}

void InterleaveKernel(DType type, std::int64_t inputs, std::int64_t begin, std::int64_t end, void* weight) {
    if (type == DType::f32) {
        groups_of(inputs, begin, end, static_cast<std::uint32_t*>(weight));
    } else {
        groups_of(inputs, begin, end, static_cast<std::uint16_t*>(weight));
    }
}

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ergo::cpu {

HWY_EXPORT(InterleaveKernel);

void interleave_groups(DType type, std::int64_t inputs, std::int64_t begin, std::int64_t end, void* weight) {
    HWY_DYNAMIC_DISPATCH(InterleaveKernel)(type, inputs, begin, end, weight);
}

} // namespace ergo::cpu
#endif // HWY_ONCE
