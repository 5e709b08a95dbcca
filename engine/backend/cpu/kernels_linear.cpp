// SPDX-License-Identifier: GPL-3.0-or-later
// Matrix products with weights as stored: bf16 and f16 are widened in registers, for reading them costs the
// most.
#include "engine/backend/cpu/kernels.h"
#include "engine/base/half.h"

#include <algorithm>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/kernels_linear.cpp"
// clang-format off
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h> // must come before highway.h
#include <hwy/highway.h>
#include "engine/backend/cpu/activation-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

struct F32 {
    using Stored = float;
    static V load(D d, const Stored* p) { return hn::LoadU(d, p); }
    static float scalar(Stored x) { return x; }
};

struct Bf16 {
    using Stored = std::uint16_t;
    static V load(D d, const Stored* p) {
        const hn::RebindToUnsigned<D> d32;
        const hn::Rebind<std::uint16_t, D> d16;
        return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(d32, hn::LoadU(d16, p))));
    }
    static float scalar(Stored x) { return bf16_to_f32(x); }
};

struct F16 {
    using Stored = std::uint16_t;
    static V load(D d, const Stored* p) {
        const hn::Rebind<hwy::float16_t, D> d16;
        const hn::Rebind<std::uint16_t, D> du16;
        return hn::PromoteTo(d, hn::BitCast(d16, hn::LoadU(du16, p)));
    }
    static float scalar(Stored x) { return f16_to_f32(x); }
};

// The last `count` (below a vector) elements, zeros behind them.
template <class W> V load_tail(D d, const typename W::Stored* p, std::int64_t count) {
    HWY_ALIGN float lanes[hn::MaxLanes(D())] = {};
    for (std::int64_t i = 0; i < count; ++i) {
        lanes[i] = W::scalar(p[i]);
    }
    return hn::Load(d, lanes);
}

// A tile of Rows x Outputs, one accumulator each: enough chains in flight to hide the latency of a
// multiply-add, and a sum order that is the same in every tile shape.
template <class W, int Rows, int Outputs>
HWY_INLINE void tile(const LinearArgs& a, const float* const* in, float* const* out, std::int64_t o) {
    using Stored = typename W::Stored;
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const Stored* HWY_RESTRICT w = static_cast<const Stored*>(a.weight) + o * a.inputs;
    V sum[Rows][Outputs];
    for (int r = 0; r < Rows; ++r) {
        for (int k = 0; k < Outputs; ++k) {
            sum[r][k] = hn::Zero(d);
        }
    }
    std::int64_t i = 0;
    for (; i + lanes <= a.inputs; i += lanes) {
        V x[Rows];
        for (int r = 0; r < Rows; ++r) {
            x[r] = hn::LoadU(d, in[r] + i);
        }
        for (int k = 0; k < Outputs; ++k) {
            const V weight = W::load(d, w + k * a.inputs + i);
            if (Rows == 1) { // the next tile's row: reading weights once, memory is what limits
                hwy::Prefetch(w + (k + Outputs) * a.inputs + i);
            }
            for (int r = 0; r < Rows; ++r) {
                sum[r][k] = hn::MulAdd(weight, x[r], sum[r][k]);
            }
        }
    }
    if (i < a.inputs) {
        for (int r = 0; r < Rows; ++r) {
            const V x = load_tail<F32>(d, in[r] + i, a.inputs - i);
            for (int k = 0; k < Outputs; ++k) {
                sum[r][k] = hn::MulAdd(load_tail<W>(d, w + k * a.inputs + i, a.inputs - i), x, sum[r][k]);
            }
        }
    }
    for (int r = 0; r < Rows; ++r) {
        for (int k = 0; k < Outputs; ++k) {
            const float bias = a.bias ? a.bias[o + k] : 0.0f;
            out[r][o + k] = hn::GetLane(hn::SumOfLanes(d, sum[r][k])) + bias;
        }
    }
}

template <class W, int Rows, int Outputs>
HWY_NOINLINE void strip(const LinearArgs& a, const float* const* in, float* const* out, std::int64_t begin,
                        std::int64_t end) {
    std::int64_t o = begin;
    for (; o + Outputs <= end; o += Outputs) {
        tile<W, Rows, Outputs>(a, in, out, o);
    }
    for (; o < end; ++o) {
        tile<W, Rows, 1>(a, in, out, o);
    }
    const D d;
    for (int r = 0; r < Rows; ++r) {
        activate_in_place(d, a.activation, out[r] + begin, end - begin);
    }
}

#if HWY_TARGET <= HWY_AVX3 || HWY_ARCH_ARM_A64
constexpr int tile_rows = 6, tile_outputs = 4; // 32 registers
#else
constexpr int tile_rows = 4, tile_outputs = 2; // 16 registers
#endif
constexpr std::int64_t strip_bytes =
    128 * 1024; // weights that stay in the cache while all rows pass over them

template <class W> void linear_of(const LinearArgs& a, std::int64_t begin, std::int64_t end) {
    const auto row_bytes = a.inputs * static_cast<std::int64_t>(sizeof(typename W::Stored));
    const std::int64_t outputs =
        a.rows == 1 ? end - begin : std::max<std::int64_t>(16, strip_bytes / row_bytes / 16 * 16);
    for (; begin < end; begin += outputs) {
        const std::int64_t stop = std::min(begin + outputs, end);
        std::int64_t r = 0;
        for (; r + tile_rows <= a.rows; r += tile_rows) {
            strip<W, tile_rows, tile_outputs>(a, a.in + r, a.out + r, begin, stop);
        }
        for (; r + 2 <= a.rows; r += 2) {
            strip<W, 2, 4>(a, a.in + r, a.out + r, begin, stop);
        }
        if (r < a.rows) {
            strip<W, 1, 8>(a, a.in + r, a.out + r, begin, stop);
        }
    }
}

void LinearKernel(const LinearArgs& a, std::int64_t begin, std::int64_t end) {
    switch (a.type) {
    case DType::bf16:
        return linear_of<Bf16>(a, begin, end);
    case DType::f16:
        return linear_of<F16>(a, begin, end);
    default:
        return linear_of<F32>(a, begin, end);
    }
}

template <class W> void widen_of(const void* in, std::int64_t count, float* out) {
    const D d;
    const auto* p = static_cast<const typename W::Stored*>(in);
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
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

HWY_EXPORT(LinearKernel);
HWY_EXPORT(WidenKernel);

void linear(const LinearArgs& args, std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(LinearKernel)(args, begin, end);
}

void widen(DType type, const void* in, std::int64_t count, float* out) {
    HWY_DYNAMIC_DISPATCH(WidenKernel)(type, in, count, out);
}

} // namespace ergo::cpu
#endif // HWY_ONCE
