// SPDX-License-Identifier: GPL-3.0-or-later
// Attention over blocked states: vectors run over positions, one query head at a time.
#include "engine/backend/cpu/kernels.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/kernels_attention.cpp"
// clang-format off
#include <hwy/foreach_target.h> // must come before highway.h
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

constexpr int unroll = 4; // vectors of positions in flight; state_block is a multiple of unroll vectors
static_assert(state_block % (unroll * hn::MaxLanes(D())) == 0);

// Dot products and key norms of `unroll` vectors of positions.
template <bool Norms> HWY_INLINE void dots(D d, const ScoreArgs& a, const float* keys, V* dot, V* square) {
    const auto lanes = hn::Lanes(d);
    for (int u = 0; u < unroll; ++u) {
        dot[u] = square[u] = hn::Zero(d);
    }
    for (std::int64_t c = 0; c < a.dim; ++c) {
        const V q = hn::Set(d, a.query[c]);
        const V root = hn::Set(d, a.root ? a.root[c] : 1.0f);
        for (int u = 0; u < unroll; ++u) {
            V k = hn::Load(d, keys + c * state_block + u * lanes);
            if (a.root) {
                k = hn::Mul(k, root);
            }
            dot[u] = hn::MulAdd(q, k, dot[u]);
            if (Norms) {
                square[u] = hn::MulAdd(k, k, square[u]);
            }
        }
    }
}

// Squared distances by differences: as cheap as the expanded form when every head has its own diagonal, and
// exact near 0 where the expanded form cancels.
HWY_INLINE void distances(D d, const ScoreArgs& a, const float* keys, V* square) {
    const auto lanes = hn::Lanes(d);
    for (int u = 0; u < unroll; ++u) {
        square[u] = hn::Zero(d);
    }
    for (std::int64_t c = 0; c < a.dim; ++c) {
        const V q = hn::Set(d, a.query[c]);
        const V root = hn::Set(d, a.root ? a.root[c] : 1.0f);
        for (int u = 0; u < unroll; ++u) {
            const V k = hn::Load(d, keys + c * state_block + u * lanes);
            const V difference = hn::MulSub(k, root, q);
            square[u] = hn::MulAdd(difference, difference, square[u]);
        }
    }
}

void ScoresKernel(const ScoreArgs& a, std::int64_t first, std::int64_t last, float* out) {
    const D d;
    const auto lanes = hn::Lanes(d);
    float query_norm = 0;
    for (std::int64_t c = 0; c < a.dim; ++c) {
        query_norm += a.query[c] * a.query[c];
    }
    const V query_scale = hn::Set(d, 1 / std::max(std::sqrt(query_norm), 1e-6f));
    const V least = hn::Set(d, 1e-6f);
    V dot[unroll], square[unroll];
    for (std::int64_t block = first; block < last; ++block) {
        for (std::int64_t at = 0; at < state_block; at += unroll * static_cast<std::int64_t>(lanes)) {
            const float* keys = a.keys + block * a.stride + at;
            float* to = out + (block - first) * state_block + at;
            switch (a.score) {
            case Attention::Score::dot:
                dots<false>(d, a, keys, dot, square);
                break;
            case Attention::Score::cosine:
                dots<true>(d, a, keys, dot, square);
                for (int u = 0; u < unroll; ++u) {
                    dot[u] = hn::Div(hn::Mul(dot[u], query_scale), hn::Max(hn::Sqrt(square[u]), least));
                }
                break;
            case Attention::Score::gravity:
                if (a.expanded) {
                    dots<true>(d, a, keys, dot, square);
                    for (int u = 0; u < unroll; ++u) {
                        const V squares = hn::Add(hn::Set(d, query_norm), square[u]);
                        dot[u] = hn::Sub(hn::Add(dot[u], dot[u]), squares);
                    }
                    break;
                }
                [[fallthrough]];
            case Attention::Score::negative_squared_distance:
                distances(d, a, keys, square);
                for (int u = 0; u < unroll; ++u) {
                    dot[u] = hn::Neg(square[u]);
                }
                break;
            }
            for (int u = 0; u < unroll; ++u) {
                hn::StoreU(dot[u], d, to + u * lanes);
            }
        }
    }
}

LogitResult LogitsKernel(const LogitArgs& a, std::int64_t first, std::int64_t last, const float* scores,
                         float* logits) {
    const D d;
    const hn::RebindToSigned<D> di;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const V alpha = hn::Set(d, a.alpha), scale = hn::Set(d, a.scale), radius = hn::Set(d, a.radius);
    const V softness = hn::Set(d, a.softness), query_outside = hn::Set(d, a.query_outside);
    const V strength = hn::Set(d, a.strength), softening = hn::Set(d, a.softening);
    const V distance_scale = hn::Set(d, a.distance_scale);
    const V masked = hn::Set(d, -INFINITY);
    const auto base = first * state_block;
    const auto begin = hn::Set(di, static_cast<std::int32_t>(a.begin - base - 1));
    const auto end = hn::Set(di, static_cast<std::int32_t>(a.end - base));
    V largest = masked;
    LogitResult result;
    for (std::int64_t block = first; block < last; ++block) {
        for (std::int64_t at = 0; at < state_block; at += lanes) {
            const std::int64_t i = (block - first) * state_block + at;
            V score = hn::LoadU(d, scores + i);
            if (a.gravity) {
                score = hn::Div(strength, hn::NegMulAdd(distance_scale, score, softening));
            }
            V logit = hn::Mul(hn::Mul(alpha, score), scale);
            const auto position = hn::Iota(di, static_cast<std::int32_t>(i));
            auto keep = hn::RebindMask(d, hn::And(hn::Gt(position, begin), hn::Lt(position, end)));
            if (a.distances) {
                const V distance = hn::Load(d, a.distances + block * a.stride + at);
                if (a.mode == Ball::Mode::hard) {
                    keep = hn::And(keep, hn::Le(distance, radius));
                } else {
                    const V outside = hn::Max(hn::Sub(distance, radius), hn::Zero(d));
                    logit = hn::NegMulAdd(softness, hn::Add(outside, query_outside), logit);
                }
            }
            logit = hn::IfThenElse(keep, logit, masked);
            result.kept += static_cast<std::int64_t>(hn::CountTrue(d, keep));
            largest = hn::Max(largest, logit);
            hn::StoreU(logit, d, logits + i);
        }
    }
    result.maximum = hn::GetLane(hn::MaxOfLanes(d, largest));
    return result;
}

float ExponentialsKernel(float maximum, std::int64_t count, float* x, float* weighted) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const V top = hn::Set(d, maximum);
    V sum0 = hn::Zero(d), sum1 = hn::Zero(d), product = hn::Zero(d);
    for (std::int64_t i = 0; i < count; i += 2 * lanes) {
        const V below0 = hn::Sub(hn::LoadU(d, x + i), top),
                below1 = hn::Sub(hn::LoadU(d, x + i + lanes), top);
        const V e0 = hn::Exp(d, below0), e1 = hn::Exp(d, below1);
        hn::StoreU(e0, d, x + i);
        hn::StoreU(e1, d, x + i + lanes);
        sum0 = hn::Add(sum0, e0);
        sum1 = hn::Add(sum1, e1);
        if (weighted) { // 0 * -infinity of a masked key counts nothing
            product = hn::Add(product, hn::IfThenElseZero(hn::Ne(e0, hn::Zero(d)), hn::Mul(e0, below0)));
            product = hn::Add(product, hn::IfThenElseZero(hn::Ne(e1, hn::Zero(d)), hn::Mul(e1, below1)));
        }
    }
    if (weighted) {
        *weighted = hn::GetLane(hn::SumOfLanes(d, product));
    }
    return hn::GetLane(hn::SumOfLanes(d, hn::Add(sum0, sum1)));
}

template <int Channels>
HWY_INLINE void channels_of(const float* weights, float factor, const float* values, std::int64_t stride,
                            std::int64_t first, std::int64_t last, float* out) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    V sum[Channels];
    for (int c = 0; c < Channels; ++c) {
        sum[c] = hn::Zero(d);
    }
    for (std::int64_t block = first; block < last; ++block) {
        const float* v = values + block * stride;
        const float* w = weights + (block - first) * state_block;
        for (std::int64_t at = 0; at < state_block; at += lanes) {
            const V weight = hn::LoadU(d, w + at);
            const auto used = hn::Ne(weight, hn::Zero(d)); // rows beyond the end may hold anything
            for (int c = 0; c < Channels; ++c) {
                sum[c] = hn::MulAdd(weight, hn::MaskedLoad(used, d, v + c * state_block + at), sum[c]);
            }
        }
    }
    for (int c = 0; c < Channels; ++c) {
        out[c] = factor * hn::GetLane(hn::SumOfLanes(d, sum[c]));
    }
}

void WeightedValuesKernel(const float* weights, float factor, const float* values, std::int64_t stride,
                          std::int64_t channels, std::int64_t first, std::int64_t last, float* out) {
    std::int64_t c = 0;
    for (; c + 8 <= channels; c += 8) {
        channels_of<8>(weights, factor, values + c * state_block, stride, first, last, out + c);
    }
    for (; c < channels; ++c) {
        channels_of<1>(weights, factor, values + c * state_block, stride, first, last, out + c);
    }
}

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ergo::cpu {

HWY_EXPORT(ScoresKernel);
HWY_EXPORT(LogitsKernel);
HWY_EXPORT(ExponentialsKernel);
HWY_EXPORT(WeightedValuesKernel);

void scores(const ScoreArgs& args, std::int64_t first, std::int64_t last, float* out) {
    HWY_DYNAMIC_DISPATCH(ScoresKernel)(args, first, last, out);
}

LogitResult logits(const LogitArgs& args, std::int64_t first, std::int64_t last, const float* scores_in,
                   float* logits_out) {
    return HWY_DYNAMIC_DISPATCH(LogitsKernel)(args, first, last, scores_in, logits_out);
}

float exponentials(float maximum, std::int64_t count, float* x, float* weighted) {
    return HWY_DYNAMIC_DISPATCH(ExponentialsKernel)(maximum, count, x, weighted);
}

void weighted_values(const float* weights, float factor, const float* values, std::int64_t stride,
                     std::int64_t channels, std::int64_t first, std::int64_t last, float* out) {
    HWY_DYNAMIC_DISPATCH(WeightedValuesKernel)(weights, factor, values, stride, channels, first, last, out);
}

std::string instruction_set() {
    const std::int64_t usable = hwy::SupportedTargets() & HWY_TARGETS;
    return hwy::TargetName(usable & -usable); // the best target is the lowest bit
}

} // namespace ergo::cpu
#endif // HWY_ONCE
