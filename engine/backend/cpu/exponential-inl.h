// SPDX-License-Identifier: GPL-3.0-or-later
// e^x of logits below their maximum; included once per instruction set by the kernel files.
#if defined(ERGO_CPU_EXPONENTIAL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ERGO_CPU_EXPONENTIAL_INL_H_
#undef ERGO_CPU_EXPONENTIAL_INL_H_
#else
#define ERGO_CPU_EXPONENTIAL_INL_H_
#endif

#include <hwy/highway.h>

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

/// e^x for x <= 0: within 2 units in the last place, exactly 1 at 0 and exactly 0 below -87. NaN stays NaN.
template <class D, class V = hwy::HWY_NAMESPACE::Vec<D>> HWY_INLINE V exponential_below_zero(D d, V x) {
    namespace hn = hwy::HWY_NAMESPACE;
    const hn::RebindToSigned<D> di;
    // x = n ln 2 + r: the number that holds n in its lowest bits; ln 2 in two parts, n times the first exact
    const V shifter = hn::Set(d, 12582912.0f);
    const V shifted = hn::MulAdd(x, hn::Set(d, 1.44269504f), shifter);
    const V n = hn::Sub(shifted, shifter);
    V r = hn::NegMulAdd(n, hn::Set(d, 0.693359375f), x);
    r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4f), r);
    // the best polynomial of degree 6 for e^r where |r| <= ln 2 / 2: relative error 2e-9
    V e = hn::MulAdd(hn::Set(d, 0.001383678987622261f), r, hn::Set(d, 0.008374856784939766f));
    e = hn::MulAdd(e, r, hn::Set(d, 0.041668228805065155f));
    e = hn::MulAdd(e, r, hn::Set(d, 0.16666419804096222f));
    e = hn::MulAdd(e, r, hn::Set(d, 0.49999991059303284f));
    e = hn::MulAdd(e, r, hn::Set(d, 1.0f));
    e = hn::MulAdd(e, r, hn::Set(d, 1.0f));
    const auto exponent = hn::ShiftLeft<23>(hn::BitCast(di, shifted)); // all but n leaves the number
    const V scaled = hn::BitCast(d, hn::Add(hn::BitCast(di, e), exponent));
    return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.0f)), scaled);
}

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
