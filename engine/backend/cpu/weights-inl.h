// SPDX-License-Identifier: GPL-3.0-or-later
// Weights as stored, read by the vector as float32; included once per instruction set by the kernel files.
#if defined(ERGO_CPU_WEIGHTS_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ERGO_CPU_WEIGHTS_INL_H_
#undef ERGO_CPU_WEIGHTS_INL_H_
#else
#define ERGO_CPU_WEIGHTS_INL_H_
#endif

#include "engine/backend/cpu/transpose-inl.h"
#include "engine/base/half.h"
#include "engine/tensor/dtype.h"

#include <hwy/highway.h>

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

using D = hwy::HWY_NAMESPACE::ScalableTag<float>;
using V = hwy::HWY_NAMESPACE::Vec<D>;

constexpr int lanes = hwy::HWY_NAMESPACE::MaxLanes(D());

struct F32 {
    static constexpr DType type = DType::f32;
    using Stored = float;
    static constexpr int columns = lanes; // of a square, see square()
    static V load(D d, const Stored* p) { return hwy::HWY_NAMESPACE::LoadU(d, p); }
    static float scalar(Stored x) { return x; }
};

struct Bf16 {
    static constexpr DType type = DType::bf16;
    using Stored = std::uint16_t;
    static constexpr int columns = 2 * lanes;
    static V load(D d, const Stored* p) {
        namespace hn = hwy::HWY_NAMESPACE;
        const hn::RebindToUnsigned<D> d32;
        const hn::Rebind<std::uint16_t, D> d16;
        return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(d32, hn::LoadU(d16, p))));
    }
    static float scalar(Stored x) { return bf16_to_f32(x); }
};

struct F16 {
    static constexpr DType type = DType::f16;
    using Stored = std::uint16_t;
    static constexpr int columns = lanes;
    static V load(D d, const Stored* p) {
        namespace hn = hwy::HWY_NAMESPACE;
        const hn::Rebind<hwy::float16_t, D> d16;
        const hn::Rebind<std::uint16_t, D> du16;
        return hn::PromoteTo(d, hn::BitCast(d16, hn::LoadU(du16, p)));
    }
    static float scalar(Stored x) { return f16_to_f32(x); }
};

/// Columns [0, W::columns) of `lanes` rows that begin at p + r * stride: use(c, column c as a vector over the
/// rows), in order of c.
template <class W, class Use>
HWY_INLINE void square(D d, const typename W::Stored* HWY_RESTRICT p, std::int64_t stride, const Use& use) {
    namespace hn = hwy::HWY_NAMESPACE;
    V v[lanes];
    if constexpr (W::columns == 2 * lanes) { // pairs of bf16 travel together: half the shuffles
#pragma GCC unroll 16
        for (int r = 0; r < lanes; ++r) {
            v[r] = hn::LoadU(d, reinterpret_cast<const float*>(p + r * stride));
        }
        transpose(d, v);
        const hn::RebindToUnsigned<D> d32;
#pragma GCC unroll 16
        for (int c = 0; c < lanes; ++c) {
            const auto pair = hn::BitCast(d32, v[c]);
            use(2 * c, hn::BitCast(d, hn::ShiftLeft<16>(pair)));
            use(2 * c + 1, hn::BitCast(d, hn::And(pair, hn::Set(d32, 0xffff0000u))));
        }
    } else {
#pragma GCC unroll 16
        for (int r = 0; r < lanes; ++r) {
            v[r] = W::load(d, p + r * stride);
        }
        transpose(d, v);
#pragma GCC unroll 16
        for (int c = 0; c < lanes; ++c) {
            use(c, v[c]);
        }
    }
}

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
