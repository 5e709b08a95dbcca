// SPDX-License-Identifier: GPL-3.0-or-later
// Squares of eight 16-bit or four 32-bit elements, transposed in registers: how rows of a matrix come to lie
// side by side while it is loaded. Nothing but places changes, so every instruction set gives the same bits.
// Included once per instruction set by the kernel files.
#if defined(ERGO_CPU_SQUARES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ERGO_CPU_SQUARES_INL_H_
#undef ERGO_CPU_SQUARES_INL_H_
#else
#define ERGO_CPU_SQUARES_INL_H_
#endif

#include "engine/backend/cpu/kernels.h"

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

/// Elements from row to row of a copy: an odd number of cache lines, or rows of a power of two would all want
/// the same place there.
template <class T> std::int64_t apart(std::int64_t inputs) {
    constexpr std::int64_t line = 64 / sizeof(T);
    return ((inputs + line - 1) / line | 1) * line;
}

// Columns [0, result) of `interleave` rows, each `stride` elements after the one before; as many as squares
// cover.
#if HWY_TARGET == HWY_SCALAR // vectors of one lane
template <class T> std::int64_t squares(const T*, std::int64_t, std::int64_t, T*) {
    return 0;
}
#else
template <class T> std::int64_t squares(const T* rows, std::int64_t stride, std::int64_t inputs, T* to) {
    namespace hn = hwy::HWY_NAMESPACE;
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

/// Elements [first, first + count) of `interleave` rows as [count, interleave].
template <class T>
void side_by_side(const T* rows, std::int64_t stride, std::int64_t first, std::int64_t count, T* to) {
    for (std::int64_t i = squares(rows + first, stride, count, to); i < count; ++i) {
        for (std::int64_t o = 0; o < interleave; ++o) {
            to[i * interleave + o] = rows[o * stride + first + i];
        }
    }
}

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
