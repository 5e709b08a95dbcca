// SPDX-License-Identifier: GPL-3.0-or-later
// Row-wise kernels: norm, gate, mix, sums of logits.
#include "engine/backend/cpu/kernels.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/kernels_rows.cpp"
// clang-format off
#include <hwy/foreach_target.h> // must come before highway.h
#include <hwy/highway.h>
#include "engine/backend/cpu/activation-inl.h"
#include "engine/backend/cpu/exponential-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// A vector at x + i; past `width` the lanes are `rest`.
HWY_INLINE V load(D d, const float* x, std::int64_t i, std::int64_t width, float rest) {
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    if (i + lanes <= width) {
        return hn::LoadU(d, x + i);
    }
    HWY_ALIGN float tail[hn::MaxLanes(D())];
    std::fill(tail, tail + lanes, rest);
    std::copy(x + i, x + width, tail);
    return hn::Load(d, tail);
}

HWY_INLINE void store(D d, V v, float* x, std::int64_t i, std::int64_t width) {
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    if (i + lanes <= width) {
        hn::StoreU(v, d, x + i);
        return;
    }
    HWY_ALIGN float tail[hn::MaxLanes(D())];
    hn::Store(v, d, tail);
    std::copy(tail, tail + (width - i), x + i);
}

void NormKernel(Norm::Kind kind, float eps, std::int64_t width, const float* in, const float* weight,
                const float* bias, float* out) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const auto count = static_cast<float>(width);
    float mean = 0;
    if (kind == Norm::Kind::layer) {
        V sum = hn::Zero(d);
        for (std::int64_t i = 0; i < width; i += lanes) {
            sum = hn::Add(sum, load(d, in, i, width, 0));
        }
        mean = hn::GetLane(hn::SumOfLanes(d, sum)) / count;
    }
    const V centre = hn::Set(d, mean);
    V square = hn::Zero(d);
    for (std::int64_t i = 0; i < width; i += lanes) {
        const V x = hn::Sub(load(d, in, i, width, mean), centre);
        square = hn::MulAdd(x, x, square);
    }
    const float variance = hn::GetLane(hn::SumOfLanes(d, square)) / count;
    const V scale = hn::Set(d, 1 / std::sqrt(variance + eps));
    for (std::int64_t i = 0; i < width; i += lanes) {
        const V x = hn::Mul(hn::Sub(load(d, in, i, width, 0), centre), scale);
        const V w = load(d, weight, i, width, 0);
        const V b = bias ? load(d, bias, i, width, 0) : hn::Zero(d);
        store(d, hn::MulAdd(x, w, b), out, i, width);
    }
}

void GateKernel(Activation activation, std::int64_t width, const float* a, const float* b, float* out) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    for (std::int64_t i = 0; i < width; i += lanes) {
        V y = activate(d, activation, load(d, a, i, width, 0));
        if (b) {
            y = hn::Mul(y, load(d, b, i, width, 0));
        }
        store(d, y, out, i, width);
    }
}

void MixKernel(const MixPart* parts, std::int64_t count, std::int64_t width, const float* residual,
               float* out) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    for (std::int64_t i = 0; i < width; i += lanes) {
        V sum = hn::Zero(d);
        for (std::int64_t p = 0; p < count; ++p) {
            const MixPart& part = parts[p];
            V y = load(d, part.y, i, width, 0);
            if (part.factor) {
                y = hn::Mul(y, load(d, part.factor, i, width, 0));
            }
            if (part.gate) {
                const V g = sigmoid(d, load(d, part.gate, i, width, 0));
                y = hn::Mul(y, hn::Add(g, g));
            }
            sum = hn::MulAdd(hn::Set(d, part.scale), y, sum);
        }
        store(d, residual ? hn::Add(load(d, residual, i, width, 0), sum) : sum, out, i, width);
    }
}

float DepthLogitKernel(float eps, std::int64_t width, const float* query, const float* source) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    V square = hn::Zero(d), dot = hn::Zero(d);
    for (std::int64_t i = 0; i < width; i += lanes) {
        const V x = load(d, source, i, width, 0);
        square = hn::MulAdd(x, x, square);
        dot = hn::MulAdd(x, load(d, query, i, width, 0), dot);
    }
    const float mean = hn::GetLane(hn::SumOfLanes(d, square)) / static_cast<float>(width);
    return hn::GetLane(hn::SumOfLanes(d, dot)) / std::sqrt(mean + eps);
}

LogitPart SumLogitsKernel(std::int64_t count, const float* logits, float temperature) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const V lowest = hn::Set(d, -INFINITY);
    const auto finite = [&](std::int64_t i) HWY_ATTR { // and -infinity for what is not
        const V l = load(d, logits, i, count, -INFINITY);
        return hn::IfThenElse(hn::Lt(hn::Abs(l), hn::Set(d, INFINITY)), l, lowest);
    };
    V largest = lowest;
    for (std::int64_t i = 0; i < count; i += lanes) {
        largest = hn::Max(largest, finite(i));
    }
    LogitPart part{hn::GetLane(hn::MaxOfLanes(d, largest)), 0, 0};
    if (part.largest == -INFINITY) {
        return part;
    }
    const V top = hn::Set(d, part.largest), divisor = hn::Set(d, temperature);
    const bool warm = temperature > 0 && temperature != 1;
    V sum = hn::Zero(d), warm_sum = hn::Zero(d);
    for (std::int64_t i = 0; i < count; i += lanes) {
        const V below = hn::Sub(finite(i), top);
        sum = hn::Add(sum, exponential_below_zero(d, below));
        if (warm) {
            warm_sum = hn::Add(warm_sum, exponential_below_zero(d, hn::Div(below, divisor)));
        }
    }
    part.sum = hn::GetLane(hn::SumOfLanes(d, sum));
    part.warm = warm ? hn::GetLane(hn::SumOfLanes(d, warm_sum)) : part.sum;
    return part;
}

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ergo::cpu {

HWY_EXPORT(NormKernel);
HWY_EXPORT(GateKernel);
HWY_EXPORT(MixKernel);
HWY_EXPORT(DepthLogitKernel);
HWY_EXPORT(SumLogitsKernel);

void norm(Norm::Kind kind, float eps, std::int64_t width, const float* in, const float* weight,
          const float* bias, float* out) {
    HWY_DYNAMIC_DISPATCH(NormKernel)(kind, eps, width, in, weight, bias, out);
}

void gate(Activation activation, std::int64_t width, const float* a, const float* b, float* out) {
    HWY_DYNAMIC_DISPATCH(GateKernel)(activation, width, a, b, out);
}

void mix(const MixPart* parts, std::int64_t count, std::int64_t width, const float* residual, float* out) {
    HWY_DYNAMIC_DISPATCH(MixKernel)(parts, count, width, residual, out);
}

float depth_logit(float eps, std::int64_t width, const float* query, const float* source) {
    return HWY_DYNAMIC_DISPATCH(DepthLogitKernel)(eps, width, query, source);
}

LogitPart sum_logits(std::int64_t count, const float* logits, float temperature) {
    return HWY_DYNAMIC_DISPATCH(SumLogitsKernel)(count, logits, temperature);
}

} // namespace ergo::cpu
#endif // HWY_ONCE
