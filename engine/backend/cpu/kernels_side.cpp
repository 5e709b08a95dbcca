// SPDX-License-Identifier: GPL-3.0-or-later
// Attention of heads that lie side by side: vectors run over heads, so narrow heads fill them, every head's
// sums go through its positions in order, and nothing is ever added across the lanes of a vector.
#include "engine/backend/cpu/kernels.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/kernels_side.cpp"
// clang-format off
#include <hwy/foreach_target.h> // must come before highway.h
#include <hwy/highway.h>
#include "engine/backend/cpu/exponential-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::CappedTag<float, side>;
using V = hn::Vec<D>;
using Score = Attention::Score;

constexpr int positions_at_once = 8;

struct Lanes { // a vector's heads of the group
    std::int64_t at = 0;
};

V load(const float* row, Lanes lanes) {
    return hn::Load(D(), row + lanes.at);
}

template <Score kind> constexpr bool needs_norms = kind == Score::cosine || kind == Score::gravity;

/// s of `Count` positions for a vector of heads; keys [Count, dim, side], already multiplied by the root.
/// Score::gravity here is its expanded form.
template <Score kind, int Count>
HWY_INLINE void scores_of(std::int64_t dim, const float* keys, const float* query, Lanes lanes, V* s) {
    const D d;
    V square[Count], norm = hn::Zero(d);
    for (int u = 0; u < Count; ++u) {
        s[u] = square[u] = hn::Zero(d);
    }
    for (std::int64_t c = 0; c < dim; ++c) {
        const V q = load(query + c * side, lanes);
        if (needs_norms<kind>) {
            norm = hn::MulAdd(q, q, norm);
        }
#pragma GCC unroll 8
        for (int u = 0; u < Count; ++u) {
            const V k = load(keys + (u * dim + c) * side, lanes);
            if (kind == Score::negative_squared_distance) {
                const V difference = hn::Sub(k, q);
                s[u] = hn::NegMulAdd(difference, difference, s[u]);
            } else {
                s[u] = hn::MulAdd(q, k, s[u]);
            }
            if (needs_norms<kind>) {
                square[u] = hn::MulAdd(k, k, square[u]);
            }
        }
    }
    const V least = hn::Set(d, 1e-6f);
    for (int u = 0; u < Count; ++u) {
        if (kind == Score::cosine) {
            const V scale = hn::Div(hn::Set(d, 1.0f), hn::Max(hn::Sqrt(norm), least));
            s[u] = hn::Div(hn::Mul(s[u], scale), hn::Max(hn::Sqrt(square[u]), least));
        } else if (kind == Score::gravity) {
            s[u] = hn::Sub(hn::Add(s[u], s[u]), hn::Add(norm, square[u]));
        }
    }
}

/// Everything that turns a score into a logit, for a vector of heads and one query.
struct Logits {
    const SideArgs& a;
    Lanes lanes;
    V slope, scale, strength, radius, outside;
    bool closed = false; // a hard ball that the query must be inside of too

    HWY_INLINE Logits(const SideArgs& args, int q, Lanes l) : a(args), lanes(l) {
        const D d;
        slope = load(a.slope, lanes);
        scale = hn::Set(d, a.scale);
        strength = a.strength ? load(a.strength, lanes) : hn::Zero(d);
        radius = a.distances ? load(a.radius, lanes) : hn::Zero(d);
        outside = hn::Zero(d);
        if (a.distances && a.query_outside[q]) {
            outside = load(a.query_outside[q], lanes);
            closed = a.mode == Ball::Mode::hard;
        }
    }

    HWY_INLINE V unpruned(V s) const {
        const D d;
        if (a.strength) {
            s = hn::Div(strength, hn::NegMulAdd(hn::Set(d, a.distance_scale), s, hn::Set(d, a.softening)));
        }
        return hn::Mul(hn::Mul(slope, s), scale);
    }

    /// The logit at position j; counts it where it is kept.
    HWY_INLINE V operator()(V s, std::int64_t j, V& kept) const {
        const D d;
        V logit = unpruned(s);
        if (!a.distances) {
            return logit;
        }
        const V distance = load(a.distances + j * side, lanes);
        if (a.mode == Ball::Mode::soft) {
            const V beyond = hn::Max(hn::Sub(distance, radius), hn::Zero(d));
            return hn::NegMulAdd(hn::Set(d, a.softness), hn::Add(beyond, outside), logit);
        }
        auto keep = hn::Le(distance, radius);
        if (closed) {
            keep = hn::And(keep, hn::Le(outside, hn::Zero(d)));
        }
        kept = hn::Add(kept, hn::IfThenElseZero(keep, hn::Set(d, 1.0f)));
        return hn::IfThenElse(keep, logit, hn::Set(d, -INFINITY));
    }
};

/// keys [count, dim, side] times the root, where there is one.
const float* scale_keys(const SideArgs& a, std::int64_t first, std::int64_t count, float* scaled) {
    const D d;
    const float* keys = a.keys + first * a.dim * side;
    if (!a.root) {
        return keys;
    }
    for (std::int64_t j = 0; j < count; ++j) {
        for (std::int64_t i = 0; i < a.dim * side; i += static_cast<std::int64_t>(hn::Lanes(d))) {
            const std::int64_t at = j * a.dim * side + i;
            hn::Store(hn::Mul(hn::Load(d, keys + at), hn::Load(d, a.root + i)), d, scaled + at);
        }
    }
    return scaled;
}

/// Calls visit(position, s) for the positions [from, to), whose scaled keys begin at `keys`.
template <Score kind, class Visit>
HWY_INLINE void each_score(const SideArgs& a, int q, Lanes lanes, std::int64_t from, std::int64_t to,
                           const float* keys, const Visit& visit) {
    V s[positions_at_once];
    std::int64_t j = from;
    for (; j + positions_at_once <= to; j += positions_at_once) {
        scores_of<kind, positions_at_once>(a.dim, keys + (j - from) * a.dim * side, a.query[q], lanes, s);
#pragma GCC unroll 8
        for (int u = 0; u < positions_at_once; ++u) {
            visit(j + u, s[u]);
        }
    }
    for (; j < to; ++j) {
        scores_of<kind, 1>(a.dim, keys + (j - from) * a.dim * side, a.query[q], lanes, s);
        visit(j, s[0]);
    }
}

template <class Visit>
HWY_INLINE void each_score(const SideArgs& a, int q, Lanes lanes, std::int64_t from, std::int64_t to,
                           const float* keys, const Visit& visit) {
    switch (a.score) {
    case Score::dot:
        return each_score<Score::dot>(a, q, lanes, from, to, keys, visit);
    case Score::cosine:
        return each_score<Score::cosine>(a, q, lanes, from, to, keys, visit);
    case Score::gravity:
        if (a.expanded) {
            return each_score<Score::gravity>(a, q, lanes, from, to, keys, visit);
        }
        break;
    case Score::negative_squared_distance:
        break;
    }
    each_score<Score::negative_squared_distance>(a, q, lanes, from, to, keys, visit);
}

void SideScoresKernel(const SideArgs& a, int q, std::int64_t first, std::int64_t last, float* out) {
    const D d;
    HWY_ALIGN float scaled[side * side]; // one position of the widest head that lies side by side
    for (std::int64_t j = first; j < last; ++j) {
        const float* keys = scale_keys(a, j, 1, scaled);
        for (Lanes lanes; lanes.at < side; lanes.at += static_cast<std::int64_t>(hn::Lanes(d))) {
            each_score(a, q, lanes, j, j + 1, keys, [&](std::int64_t at, V s) HWY_ATTR {
                hn::Store(s, d, out + (at - first) * side + lanes.at);
            });
        }
    }
}

void SideLogitsKernel(const SideArgs& a, std::int64_t first, const SideLogits& out, float* scaled_keys) {
    const D d;
    std::int64_t last = 0;
    for (int q = 0; q < a.queries; ++q) {
        last = std::max(last, a.end[q]);
        std::fill(out.maximum[q], out.maximum[q] + side, -INFINITY);
        std::fill(out.kept[q], out.kept[q] + side, 0.0f);
        std::fill(out.logits[q], out.logits[q] + (a.begin[q] - first) * side, -INFINITY);
    }
    for (std::int64_t chunk = first; chunk < last; chunk += side_chunk) {
        const std::int64_t chunk_end = std::min(chunk + side_chunk, last);
        const float* keys = scale_keys(a, chunk, chunk_end - chunk, scaled_keys);
        for (int q = 0; q < a.queries; ++q) {
            const std::int64_t from = std::max(chunk, a.begin[q]), to = std::min(chunk_end, a.end[q]);
            for (Lanes lanes; lanes.at < side; lanes.at += static_cast<std::int64_t>(hn::Lanes(d))) {
                const Logits logit_of(a, q, lanes);
                V maximum = load(out.maximum[q], lanes), kept = load(out.kept[q], lanes);
                each_score(a, q, lanes, from, to, keys + (from - chunk) * a.dim * side,
                           [&](std::int64_t j, V s) HWY_ATTR {
                               const V logit = logit_of(s, j, kept);
                               maximum = hn::Max(maximum, logit);
                               hn::Store(logit, d, out.logits[q] + (j - first) * side + lanes.at);
                           });
                hn::Store(maximum, d, out.maximum[q] + lanes.at);
                hn::Store(kept, d, out.kept[q] + lanes.at);
            }
        }
    }
    for (int q = 0; q < a.queries && (!a.distances || a.mode != Ball::Mode::hard); ++q) {
        std::fill(out.kept[q], out.kept[q] + side, static_cast<float>(a.end[q] - a.begin[q]));
    }
}

void SideUnprunedKernel(const SideArgs& a, int q, std::int64_t first, std::int64_t begin, const float* which,
                        const SideLogits& out) {
    const D d;
    HWY_ALIGN float scaled[side * side];
    for (std::int64_t j = begin; j < a.end[q]; ++j) {
        const float* keys = scale_keys(a, j, 1, scaled);
        for (Lanes lanes; lanes.at < side; lanes.at += static_cast<std::int64_t>(hn::Lanes(d))) {
            const Logits logit_of(a, q, lanes);
            const auto wanted = hn::Ne(load(which, lanes), hn::Zero(d));
            each_score(a, q, lanes, j, j + 1, keys, [&](std::int64_t at, V s) HWY_ATTR {
                float* to = out.logits[q] + (at - first) * side + lanes.at;
                const V logit = hn::IfThenElse(wanted, logit_of.unpruned(s), hn::Load(d, to));
                hn::Store(logit, d, to);
                hn::Store(hn::Max(load(out.maximum[q], lanes), logit), d, out.maximum[q] + lanes.at);
            });
        }
    }
    for (std::int64_t h = 0; h < side; ++h) {
        if (which[h] != 0) {
            out.kept[q][h] = static_cast<float>(a.end[q] - begin);
        }
    }
}

/// Logits of the positions [0, count) of a vector of heads become weights.
template <bool Weighted>
HWY_INLINE void weigh(const SideValues& out, int q, Lanes lanes, std::int64_t count, float* logits) {
    const D d;
    const V maximum = load(out.maximum[q], lanes);
    V sum = load(out.sum[q], lanes), weighted = Weighted ? load(out.weighted[q], lanes) : hn::Zero(d);
    for (std::int64_t j = 0; j < count; ++j) {
        const V below = hn::Sub(load(logits + j * side, lanes), maximum);
        const V e = exponential_below_zero(d, below);
        hn::Store(e, d, logits + j * side + lanes.at);
        sum = hn::Add(sum, e);
        if (Weighted) { // 0 * -infinity of a masked key counts nothing
            weighted = hn::Add(weighted, hn::IfThenElseZero(hn::Ne(e, hn::Zero(d)), hn::Mul(e, below)));
        }
    }
    hn::Store(sum, d, out.sum[q] + lanes.at);
    if (Weighted) {
        hn::Store(weighted, d, out.weighted[q] + lanes.at);
    }
}

/// Adds the weighted values of `count` positions to Channels channels of a vector of heads.
template <int Channels>
HWY_INLINE void add_values(Lanes lanes, std::int64_t count, std::int64_t stride, const float* weights,
                           const float* values, float* out) {
    const D d;
    V sum[Channels];
#pragma GCC unroll 8
    for (int c = 0; c < Channels; ++c) {
        sum[c] = load(out + c * side, lanes);
    }
    for (std::int64_t j = 0; j < count; ++j) {
        const V weight = load(weights + j * side, lanes);
#pragma GCC unroll 8
        for (int c = 0; c < Channels; ++c) {
            sum[c] = hn::MulAdd(weight, load(values + j * stride + c * side, lanes), sum[c]);
        }
    }
#pragma GCC unroll 8
    for (int c = 0; c < Channels; ++c) {
        hn::Store(sum[c], d, out + c * side + lanes.at);
    }
}

void SideValuesKernel(const SideArgs& a, std::int64_t first, const SideValues& out) {
    const D d;
    const std::int64_t stride = a.value_dim * side;
    std::int64_t last = 0;
    for (int q = 0; q < a.queries; ++q) {
        last = std::max(last, a.end[q]);
        std::fill(out.out[q], out.out[q] + stride, 0.0f);
        std::fill(out.sum[q], out.sum[q] + side, 0.0f);
        if (out.weighted[q]) {
            std::fill(out.weighted[q], out.weighted[q] + side, 0.0f);
        }
    }
    for (std::int64_t chunk = first; chunk < last; chunk += side_chunk) {
        for (int q = 0; q < a.queries; ++q) {
            const std::int64_t from = std::max(chunk, a.begin[q]);
            const std::int64_t count = std::min(chunk + side_chunk, a.end[q]) - from;
            float* weights = out.logits[q] + (from - first) * side;
            const float* values = a.values + from * stride;
            for (Lanes lanes; lanes.at < side && count > 0;
                 lanes.at += static_cast<std::int64_t>(hn::Lanes(d))) {
                out.weighted[q] ? weigh<true>(out, q, lanes, count, weights)
                                : weigh<false>(out, q, lanes, count, weights);
                std::int64_t c = 0;
                for (; c + 8 <= a.value_dim; c += 8) {
                    add_values<8>(lanes, count, stride, weights, values + c * side, out.out[q] + c * side);
                }
                for (; c < a.value_dim; ++c) {
                    add_values<1>(lanes, count, stride, weights, values + c * side, out.out[q] + c * side);
                }
            }
        }
    }
}

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ergo::cpu {

HWY_EXPORT(SideScoresKernel);
HWY_EXPORT(SideLogitsKernel);
HWY_EXPORT(SideUnprunedKernel);
HWY_EXPORT(SideValuesKernel);

void side_scores(const SideArgs& args, int q, std::int64_t first, std::int64_t last, float* out) {
    HWY_DYNAMIC_DISPATCH(SideScoresKernel)(args, q, first, last, out);
}
void side_logits(const SideArgs& args, std::int64_t first, const SideLogits& out, float* scaled_keys) {
    HWY_DYNAMIC_DISPATCH(SideLogitsKernel)(args, first, out, scaled_keys);
}
void side_unpruned(const SideArgs& args, int q, std::int64_t first, std::int64_t begin, const float* which,
                   const SideLogits& out) {
    HWY_DYNAMIC_DISPATCH(SideUnprunedKernel)(args, q, first, begin, which, out);
}
void side_values(const SideArgs& args, std::int64_t first, const SideValues& out) {
    HWY_DYNAMIC_DISPATCH(SideValuesKernel)(args, first, out);
}

} // namespace ergo::cpu
#endif // HWY_ONCE
