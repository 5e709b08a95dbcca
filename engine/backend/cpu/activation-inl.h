// SPDX-License-Identifier: GPL-3.0-or-later
// Activations over vectors; included once per instruction set by the kernel files.
#if defined(ERGO_CPU_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ERGO_CPU_ACTIVATION_INL_H_
#undef ERGO_CPU_ACTIVATION_INL_H_
#else
#define ERGO_CPU_ACTIVATION_INL_H_
#endif

#include "engine/backend/op.h"

#include <hwy/contrib/math/math-inl.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

template <class D, class V = hwy::HWY_NAMESPACE::Vec<D>> HWY_INLINE V sigmoid(D d, V x) {
    namespace hn = hwy::HWY_NAMESPACE;
    const V one = hn::Set(d, 1.0f);
    const V e = hn::Exp(d, hn::Neg(hn::Abs(x))); // never overflows
    const V denominator = hn::Add(one, e);
    return hn::Div(hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one), denominator);
}

template <class D, class V = hwy::HWY_NAMESPACE::Vec<D>>
HWY_INLINE V activate(D d, Activation activation, V x) {
    namespace hn = hwy::HWY_NAMESPACE;
    switch (activation) {
    case Activation::silu:
        return hn::Mul(x, sigmoid(d, x));
    case Activation::sigmoid:
        return sigmoid(d, x);
    case Activation::relu:
        return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Zero(d), x);
    case Activation::gelu_tanh: { // (1 + tanh(u)) / 2 = sigmoid(2 u)
        const float scale = 2 * std::sqrt(2 / std::numbers::pi_v<float>);
        const V cube = hn::Mul(hn::Mul(x, x), x);
        const V u = hn::MulAdd(hn::Set(d, 0.044715f), cube, x);
        return hn::Mul(x, sigmoid(d, hn::Mul(hn::Set(d, scale), u)));
    }
    case Activation::gelu: {
        HWY_ALIGN float lanes[hn::MaxLanes(D())];
        hn::Store(x, d, lanes);
        for (std::size_t i = 0; i < hn::Lanes(d); ++i) { // rare, and the library's erf is exact enough
            lanes[i] = 0.5f * lanes[i] * (1 + std::erf(lanes[i] / std::numbers::sqrt2_v<float>));
        }
        return hn::Load(d, lanes);
    }
    case Activation::identity:
        break;
    }
    return x;
}

/// The tail goes through a padded vector, so every element sees the same arithmetic wherever a range begins.
template <class D>
HWY_INLINE void activate_in_place(D d, Activation activation, float* x, std::int64_t count) {
    namespace hn = hwy::HWY_NAMESPACE;
    if (activation == Activation::identity) {
        return;
    }
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    std::int64_t i = 0;
    for (; i + lanes <= count; i += lanes) {
        hn::StoreU(activate(d, activation, hn::LoadU(d, x + i)), d, x + i);
    }
    if (i < count) {
        HWY_ALIGN float tail[hn::MaxLanes(D())] = {};
        std::copy(x + i, x + count, tail);
        hn::Store(activate(d, activation, hn::Load(d, tail)), d, tail);
        std::copy(tail, tail + (count - i), x + i);
    }
}

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
