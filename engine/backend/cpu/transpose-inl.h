// SPDX-License-Identifier: GPL-3.0-or-later
// Square transposition in registers; included once per instruction set by the kernel files.
#if defined(ERGO_CPU_TRANSPOSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ERGO_CPU_TRANSPOSE_INL_H_
#undef ERGO_CPU_TRANSPOSE_INL_H_
#else
#define ERGO_CPU_TRANSPOSE_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

#if HWY_TARGET == HWY_SCALAR // vectors of one lane
template <class D, class V> HWY_INLINE void transpose(D, V*) {}
#else
/// Rows v[0..3] of every 128-bit block become its columns.
template <class D, class V> HWY_INLINE void transpose_blocks(D d, V* v) {
    namespace hn = hwy::HWY_NAMESPACE;
    const V even_low = hn::InterleaveLower(d, v[0], v[2]), odd_low = hn::InterleaveLower(d, v[1], v[3]);
    const V even_high = hn::InterleaveUpper(d, v[0], v[2]), odd_high = hn::InterleaveUpper(d, v[1], v[3]);
    v[0] = hn::InterleaveLower(d, even_low, odd_low);
    v[1] = hn::InterleaveUpper(d, even_low, odd_low);
    v[2] = hn::InterleaveLower(d, even_high, odd_high);
    v[3] = hn::InterleaveUpper(d, even_high, odd_high);
}

/// v[r] lane c becomes v[c] lane r, for as many vectors as a vector has lanes of 32 bits.
template <class D, class V> HWY_INLINE void transpose(D d, V* v) {
    namespace hn = hwy::HWY_NAMESPACE;
#if HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86
#pragma GCC unroll 4
    for (int quad = 0; quad < 4; ++quad) {
        transpose_blocks(d, v + 4 * quad);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) { // the same with whole blocks: v[4 q + i] block b -> v[4 b + i] block q
        const __m512 ab_even = _mm512_shuffle_f32x4(v[i].raw, v[4 + i].raw, 0x88);
        const __m512 ab_odd = _mm512_shuffle_f32x4(v[i].raw, v[4 + i].raw, 0xdd);
        const __m512 cd_even = _mm512_shuffle_f32x4(v[8 + i].raw, v[12 + i].raw, 0x88);
        const __m512 cd_odd = _mm512_shuffle_f32x4(v[8 + i].raw, v[12 + i].raw, 0xdd);
        v[i] = V{_mm512_shuffle_f32x4(ab_even, cd_even, 0x88)};
        v[4 + i] = V{_mm512_shuffle_f32x4(ab_odd, cd_odd, 0x88)};
        v[8 + i] = V{_mm512_shuffle_f32x4(ab_even, cd_even, 0xdd)};
        v[12 + i] = V{_mm512_shuffle_f32x4(ab_odd, cd_odd, 0xdd)};
    }
#elif HWY_MAX_BYTES == 32
    transpose_blocks(d, v);
    transpose_blocks(d, v + 4);
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
        const V low = hn::ConcatLowerLower(d, v[4 + i], v[i]);
        v[4 + i] = hn::ConcatUpperUpper(d, v[4 + i], v[i]);
        v[i] = low;
    }
#else
    transpose_blocks(d, v);
#endif
}
#endif

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
