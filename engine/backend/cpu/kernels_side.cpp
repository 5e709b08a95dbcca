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

// Positions in flight for one query, and a square of queries and positions: a key in a register meets all of
// its queries. 32 registers hold eight by two, 16 four by two.
constexpr int positions_at_once = 8, square_positions = 2;
constexpr int square_queries = HWY_TARGET <= HWY_AVX3 ? 8 : 4;
static_assert(side_queries % square_queries == 0);

struct Lanes { // a vector's heads of the group
    std::int64_t at = 0;
};

V load(const float* row, Lanes lanes) {
    return hn::Load(D(), row + lanes.at);
}

template <Score kind> constexpr bool needs_norms = kind == Score::cosine || kind == Score::gravity;

/// s of `Count` positions for a vector of heads of each query; keys [Count, dim, side] and their
/// root [dim, side], which queries are multiplied by already. Score::gravity here is its expanded form.
template <Score kind, int Queries, int Count>
HWY_INLINE void scores_of(std::int64_t dim, const float* keys, const float* root, const float* const* query,
                          Lanes lanes, V (*s)[Count]) {
    const D d;
    V square[Count], norm[Queries];
    for (int u = 0; u < Count; ++u) {
        square[u] = hn::Zero(d);
        for (int q = 0; q < Queries; ++q) {
            norm[q] = s[q][u] = hn::Zero(d);
        }
    }
    for (std::int64_t c = 0; c < dim; ++c) {
        const V factor = load(root + c * side, lanes);
        V k[Count];
#pragma GCC unroll 8
        for (int u = 0; u < Count; ++u) {
            k[u] = hn::Mul(load(keys + (u * dim + c) * side, lanes), factor);
            if (needs_norms<kind>) {
                square[u] = hn::MulAdd(k[u], k[u], square[u]);
            }
        }
#pragma GCC unroll 8
        for (int q = 0; q < Queries; ++q) {
            const V of_query = load(query[q] + c * side, lanes);
            if (needs_norms<kind>) {
                norm[q] = hn::MulAdd(of_query, of_query, norm[q]);
            }
#pragma GCC unroll 8
            for (int u = 0; u < Count; ++u) {
                if (kind == Score::negative_squared_distance) {
                    const V difference = hn::Sub(k[u], of_query);
                    s[q][u] = hn::NegMulAdd(difference, difference, s[q][u]);
                } else {
                    s[q][u] = hn::MulAdd(of_query, k[u], s[q][u]);
                }
            }
        }
    }
    const V least = hn::Set(d, 1e-6f);
    for (int q = 0; q < Queries && needs_norms<kind>; ++q) {
        for (int u = 0; u < Count; ++u) {
            if (kind == Score::cosine) {
                const V scale = hn::Div(hn::Set(d, 1.0f), hn::Max(hn::Sqrt(norm[q]), least));
                s[q][u] = hn::Div(hn::Mul(s[q][u], scale), hn::Max(hn::Sqrt(square[u]), least));
            } else {
                s[q][u] = hn::Sub(hn::Add(s[q][u], s[q][u]), hn::Add(norm[q], square[u]));
            }
        }
    }
}

/// What is the same for all logits of an op, so that no loop asks. `gravity`: scores attract by a mass.
template <Score score_kind, Ball::Mode ball_mode, bool of_gravity> struct LogitForm {
    static constexpr Score kind = score_kind;
    static constexpr Ball::Mode mode = ball_mode;
    static constexpr bool gravity = of_gravity;
};

/// Everything that turns a score into a logit, for a vector of heads and `Queries` queries from `q` on.
/// Copies of what SideArgs says: kernels store floats, and would read it again after each.
template <int Queries, class Form> struct Logits {
    static constexpr Ball::Mode mode = Form::mode;
    const float* distances;
    Lanes lanes;
    V slope, scale, strength, softening, distance_scale, radius, softness, outside[Queries];
    bool closed = false; // a hard ball that the query must be inside of too

    HWY_INLINE Logits(const SideArgs& a, int q, Lanes l) : distances(a.distances), lanes(l) {
        const D d;
        slope = load(a.slope, lanes);
        scale = hn::Set(d, a.scale);
        strength = a.strength ? load(a.strength, lanes) : hn::Zero(d);
        softening = hn::Set(d, a.softening);
        distance_scale = hn::Set(d, a.distance_scale);
        radius = mode == Ball::Mode::off ? hn::Zero(d) : load(a.radius, lanes);
        softness = hn::Set(d, a.softness);
        for (int i = 0; i < Queries; ++i) {
            outside[i] = hn::Zero(d);
            if (mode != Ball::Mode::off && a.query_outside[q + i]) {
                outside[i] = load(a.query_outside[q + i], lanes);
                closed = mode == Ball::Mode::hard; // of all queries or of none
            }
        }
    }

    /// The logit of query q + i at position j; counts it where it is kept.
    HWY_INLINE V operator()(int i, V s, std::int64_t j, V& kept) const {
        const D d;
        if (Form::gravity) {
            s = hn::Div(strength, hn::NegMulAdd(distance_scale, s, softening));
        }
        const V logit = hn::Mul(hn::Mul(slope, s), scale);
        if (mode == Ball::Mode::off) {
            return logit;
        }
        const V distance = load(distances + j * side, lanes);
        if (mode == Ball::Mode::soft) {
            const V beyond = hn::Max(hn::Sub(distance, radius), hn::Zero(d));
            return hn::NegMulAdd(softness, hn::Add(beyond, outside[i]), logit);
        }
        auto keep = hn::Le(distance, radius);
        if (closed) {
            keep = hn::And(keep, hn::Le(outside[i], hn::Zero(d)));
        }
        kept = hn::Add(kept, hn::IfThenElseZero(keep, hn::Set(d, 1.0f)));
        return hn::IfThenElse(keep, logit, hn::Set(d, -INFINITY));
    }
};

/// Calls visit(query, position, s) for `Queries` queries from `q` on and the positions [from, to).
template <Score kind, int Queries, class Visit>
HWY_INLINE void each_score(const SideArgs& a, int q, Lanes lanes, std::int64_t from, std::int64_t to,
                           const Visit& visit) {
    constexpr int count = Queries == 1 ? positions_at_once : square_positions;
    const std::int64_t dim = a.dim;
    const float *keys = a.keys + from * dim * side, *root = a.root, *query[Queries];
    for (int i = 0; i < Queries; ++i) {
        query[i] = a.query[q + i];
    }
    V s[Queries][count], one[Queries][1];
    std::int64_t j = from;
    for (; j + count <= to; j += count, keys += count * dim * side) {
        scores_of<kind, Queries, count>(dim, keys, root, query, lanes, s);
#pragma GCC unroll 8
        for (int i = 0; i < Queries; ++i) {
#pragma GCC unroll 8
            for (int u = 0; u < count; ++u) {
                visit(i, j + u, s[i][u]);
            }
        }
    }
    for (; j < to; ++j, keys += dim * side) {
        scores_of<kind, Queries, 1>(dim, keys, root, query, lanes, one);
        for (int i = 0; i < Queries; ++i) {
            visit(i, j, one[i][0]);
        }
    }
}

/// The score of position j.
HWY_INLINE V score_of(const SideArgs& a, int q, Lanes lanes, std::int64_t j) {
    const float* key = a.keys + j * a.dim * side;
    V s[1][1];
    switch (a.score) {
    case Score::dot:
        scores_of<Score::dot, 1, 1>(a.dim, key, a.root, a.query + q, lanes, s);
        return s[0][0];
    case Score::cosine:
        scores_of<Score::cosine, 1, 1>(a.dim, key, a.root, a.query + q, lanes, s);
        return s[0][0];
    case Score::gravity:
        if (a.expanded) {
            scores_of<Score::gravity, 1, 1>(a.dim, key, a.root, a.query + q, lanes, s);
            return s[0][0];
        }
        break;
    case Score::negative_squared_distance:
        break;
    }
    scores_of<Score::negative_squared_distance, 1, 1>(a.dim, key, a.root, a.query + q, lanes, s);
    return s[0][0];
}

/// Logits of positions [from, to).
template <class Form, int Queries>
HWY_NOINLINE void logits_of(const SideArgs& a, const SideLogits& out, int q, Lanes lanes, std::int64_t first,
                            std::int64_t from, std::int64_t to) {
    if (from >= to) {
        return;
    }
    const D d;
    V maximum[Queries], kept[Queries];
    float* to_logits[Queries];
    for (int i = 0; i < Queries; ++i) {
        maximum[i] = load(out.maximum[q + i], lanes);
        kept[i] = load(out.kept[q + i], lanes);
        to_logits[i] = out.logits[q + i] - first * side + lanes.at;
    }
    const Logits<Queries, Form> logit_of(a, q, lanes);
    each_score<Form::kind, Queries>(a, q, lanes, from, to, [&](int i, std::int64_t j, V s) HWY_ATTR {
        const V logit = logit_of(i, s, j, kept[i]);
        maximum[i] = hn::Max(maximum[i], logit);
        hn::Store(logit, d, to_logits[i] + j * side);
    });
    for (int i = 0; i < Queries; ++i) {
        hn::Store(maximum[i], d, out.maximum[q + i] + lanes.at);
        hn::Store(kept[i], d, out.kept[q + i] + lanes.at);
    }
}

void SideScoresKernel(const SideArgs& a, int q, std::int64_t first, std::int64_t last, float* out) {
    const D d;
    for (std::int64_t j = first; j < last; ++j) {
        for (Lanes lanes; lanes.at < side; lanes.at += static_cast<std::int64_t>(hn::Lanes(d))) {
            hn::Store(score_of(a, q, lanes, j), d, out + (j - first) * side + lanes.at);
        }
    }
}

/// The logit of a key that no ball prunes.
HWY_INLINE V unpruned(const SideArgs& a, Lanes lanes, V s) {
    const D d;
    if (a.strength) {
        const V strength = load(a.strength, lanes);
        s = hn::Div(strength, hn::NegMulAdd(hn::Set(d, a.distance_scale), s, hn::Set(d, a.softening)));
    }
    return hn::Mul(hn::Mul(load(a.slope, lanes), s), hn::Set(d, a.scale));
}

template <class Form> void logits_of_tile(const SideArgs& a, std::int64_t first, const SideLogits& out) {
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
        for (Lanes lanes; lanes.at < side; lanes.at += static_cast<std::int64_t>(hn::Lanes(d))) {
            const auto some = [&](int q, std::int64_t from, std::int64_t to)
                                  HWY_ATTR { logits_of<Form, 1>(a, out, q, lanes, first, from, to); };
            int q = 0;
            for (; q + square_queries <= a.queries; q += square_queries) {
                std::int64_t from = chunk, to = chunk_end; // candidates of all of them
                for (int i = q; i < q + square_queries; ++i) {
                    from = std::max(from, a.begin[i]);
                    to = std::min(to, a.end[i]);
                }
                to = from + std::max<std::int64_t>(0, to - from) / square_positions * square_positions;
                logits_of<Form, square_queries>(a, out, q, lanes, first, from, to);
                for (int i = q; i < q + square_queries; ++i) { // and what only some have
                    some(i, std::max(chunk, a.begin[i]), std::min({from, chunk_end, a.end[i]}));
                    some(i, std::max(to, a.begin[i]), std::min(chunk_end, a.end[i]));
                }
            }
            for (; q < a.queries; ++q) {
                some(q, std::max(chunk, a.begin[q]), std::min(chunk_end, a.end[q]));
            }
        }
    }
    for (int q = 0; q < a.queries && Form::mode != Ball::Mode::hard; ++q) {
        std::fill(out.kept[q], out.kept[q] + side, static_cast<float>(a.end[q] - a.begin[q]));
    }
}

template <Score kind, bool gravity>
void logits_of_tile(const SideArgs& a, std::int64_t first, const SideLogits& out) {
    switch (a.distances ? a.mode : Ball::Mode::off) {
    case Ball::Mode::off:
        return logits_of_tile<LogitForm<kind, Ball::Mode::off, gravity>>(a, first, out);
    case Ball::Mode::hard:
        return logits_of_tile<LogitForm<kind, Ball::Mode::hard, gravity>>(a, first, out);
    case Ball::Mode::soft:
        return logits_of_tile<LogitForm<kind, Ball::Mode::soft, gravity>>(a, first, out);
    }
}

void SideLogitsKernel(const SideArgs& a, std::int64_t first, const SideLogits& out) {
    constexpr Score distance = Score::negative_squared_distance;
    switch (a.score) {
    case Score::dot:
        return logits_of_tile<Score::dot, false>(a, first, out);
    case Score::cosine:
        return logits_of_tile<Score::cosine, false>(a, first, out);
    case Score::gravity:
        return a.expanded ? logits_of_tile<Score::gravity, true>(a, first, out)
                          : logits_of_tile<distance, true>(a, first, out);
    case Score::negative_squared_distance:
        return logits_of_tile<distance, false>(a, first, out);
    }
}

void SideUnprunedKernel(const SideArgs& a, int q, std::int64_t first, std::int64_t begin, const float* which,
                        const SideLogits& out) {
    const D d;
    for (std::int64_t j = begin; j < a.end[q]; ++j) {
        for (Lanes lanes; lanes.at < side; lanes.at += static_cast<std::int64_t>(hn::Lanes(d))) {
            float* to = out.logits[q] + (j - first) * side + lanes.at;
            const auto wanted = hn::Ne(load(which, lanes), hn::Zero(d));
            const V s = score_of(a, q, lanes, j);
            const V logit = hn::IfThenElse(wanted, unpruned(a, lanes, s), hn::Load(d, to));
            hn::Store(logit, d, to);
            hn::Store(hn::Max(load(out.maximum[q], lanes), logit), d, out.maximum[q] + lanes.at);
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
void side_logits(const SideArgs& args, std::int64_t first, const SideLogits& out) {
    HWY_DYNAMIC_DISPATCH(SideLogitsKernel)(args, first, out);
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
