// SPDX-License-Identifier: GPL-3.0-or-later
// Attention over blocked states: vectors run over positions, a tile of queries that share a head's keys
// and values at a time.
#include "engine/backend/cpu/kernels.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/kernels_attention.cpp"
// clang-format off
#include <hwy/foreach_target.h> // must come before highway.h
#include <hwy/highway.h>
#include "engine/backend/cpu/exponential-inl.h"
#include "engine/backend/cpu/state-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

constexpr int unroll = 4; // vectors of positions in flight; state_block is a multiple of unroll vectors
static_assert(state_block % (unroll * hn::MaxLanes(D())) == 0);

// Sums of Queries queries over some vectors, from zero.
template <int Queries, int Vectors> HWY_INLINE void clear(D d, V (*sum)[Vectors]) {
#pragma GCC unroll 4
    for (int q = 0; q < Queries; ++q) {
#pragma GCC unroll 4
        for (int u = 0; u < Vectors; ++u) {
            sum[q][u] = hn::Zero(d);
        }
    }
}

// Adds what channel c of the keys is to their dot products with the queries.
template <int Queries, int Vectors>
HWY_INLINE void add_channel(D d, const ScoreArgs& a, std::int64_t c, const V* k, V (*dot)[Vectors]) {
#pragma GCC unroll 4
    for (int q = 0; q < Queries; ++q) {
        const V query = hn::Set(d, a.query[q][c]);
#pragma GCC unroll 4
        for (int u = 0; u < Vectors; ++u) {
            dot[q][u] = hn::MulAdd(query, k[u], dot[q][u]);
        }
    }
}

// Dot products of Queries queries and the keys' norms over some vectors of positions.
template <int Queries, int Vectors, bool Norms, class Keys>
HWY_INLINE void dots(D d, const ScoreArgs& a, Keys keys, V (*dot)[Vectors], V* square) {
    clear<Queries, Vectors>(d, dot);
    for (int u = 0; u < Vectors; ++u) {
        square[u] = hn::Zero(d);
    }
    for (std::int64_t c = 0; c < a.dim; ++c) {
        V k[Vectors];
        keys.read(d, c, k);
#pragma GCC unroll 4
        for (int u = 0; u < Vectors; ++u) {
            if (a.root) {
                k[u] = hn::Mul(k[u], hn::Set(d, a.root[c]));
            }
            if (Norms) {
                square[u] = hn::MulAdd(k[u], k[u], square[u]);
            }
        }
        add_channel<Queries, Vectors>(d, a, c, k, dot);
    }
}

// The same of keys in q8, whose scales wait until a group is summed.
template <int Queries, int Vectors, class Keys>
HWY_INLINE void dots_of_groups(D d, const ScoreArgs& a, Keys keys, V (*dot)[Vectors]) {
    clear<Queries, Vectors>(d, dot);
    for (std::int64_t first = 0; first < a.dim; first += state_group) {
        keys.begin_group(d);
        V sum[Queries][Vectors];
        clear<Queries, Vectors>(d, sum);
        for (std::int64_t c = first; c < first + state_group; ++c) {
            V k[Vectors];
            keys.read_stored(d, k);
            add_channel<Queries, Vectors>(d, a, c, k, sum);
        }
#pragma GCC unroll 4
        for (int q = 0; q < Queries; ++q) {
#pragma GCC unroll 4
            for (int u = 0; u < Vectors; ++u) {
                dot[q][u] = hn::MulAdd(sum[q][u], keys.scale(u), dot[q][u]);
            }
        }
    }
}

// Negative squared distances by differences: as cheap as the expanded form when every head has its own
// diagonal, and exact near 0 where the expanded form cancels.
template <int Queries, int Vectors, class Keys>
HWY_INLINE void distances(D d, const ScoreArgs& a, Keys keys, V (*square)[Vectors]) {
    clear<Queries, Vectors>(d, square);
    for (std::int64_t c = 0; c < a.dim; ++c) {
        V k[Vectors];
        keys.read(d, c, k);
        const V root = hn::Set(d, a.root ? a.root[c] : 1.0f);
#pragma GCC unroll 4
        for (int q = 0; q < Queries; ++q) {
            const V query = hn::Set(d, a.query[q][c]);
#pragma GCC unroll 4
            for (int u = 0; u < Vectors; ++u) {
                const V difference = hn::MulSub(k[u], root, query);
                square[q][u] = hn::NegMulAdd(difference, difference, square[q][u]);
            }
        }
    }
}

// Scores of one vector of positions after another, Vectors of them from `at` on in a block.
template <int Queries, int Vectors, DType type>
HWY_INLINE void scores_at(const ScoreArgs& a, const float* query_norm, std::int64_t block, std::int64_t at,
                          std::int64_t to) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const V least = hn::Set(d, 1e-6f);
    V s[Queries][Vectors], square[Vectors];
    const BlockReader<type, Vectors, D> keys(a.keys + block * a.stride, at);
    switch (a.score) {
    case Attention::Score::dot:
        if constexpr (type == DType::q8) {
            if (!a.root) {
                dots_of_groups<Queries, Vectors>(d, a, keys, s);
                break;
            }
        }
        dots<Queries, Vectors, false>(d, a, keys, s, square);
        break;
    case Attention::Score::cosine:
        dots<Queries, Vectors, true>(d, a, keys, s, square);
        for (int q = 0; q < Queries; ++q) {
            const V scale = hn::Set(d, 1 / std::max(std::sqrt(query_norm[q]), 1e-6f));
            for (int u = 0; u < Vectors; ++u) {
                s[q][u] = hn::Div(hn::Mul(s[q][u], scale), hn::Max(hn::Sqrt(square[u]), least));
            }
        }
        break;
    case Attention::Score::gravity:
        if (a.expanded) {
            dots<Queries, Vectors, true>(d, a, keys, s, square);
            for (int q = 0; q < Queries; ++q) {
                for (int u = 0; u < Vectors; ++u) {
                    const V squares = hn::Add(hn::Set(d, query_norm[q]), square[u]);
                    s[q][u] = hn::Sub(hn::Add(s[q][u], s[q][u]), squares);
                }
            }
            break;
        }
        [[fallthrough]];
    case Attention::Score::negative_squared_distance:
        distances<Queries, Vectors>(d, a, keys, s);
        break;
    }
    for (int q = 0; q < Queries; ++q) {
        for (int u = 0; u < Vectors; ++u) {
            hn::StoreU(s[q][u], d, a.out[q] + to + u * lanes);
        }
    }
}

/// Whether scores hang on the length of the query, a sum in order, as long as a dot product with 16 keys.
bool needs_norm(const ScoreArgs& a) {
    return a.score == Attention::Score::cosine || (a.score == Attention::Score::gravity && a.expanded);
}

template <int Queries, DType type> void scores_of(const ScoreArgs& a, std::int64_t first, std::int64_t end) {
    constexpr int half = unroll / 2;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(D()));
    float query_norm[Queries] = {};
    if (needs_norm(a)) {
        for (int q = 0; q < Queries; ++q) {
            for (std::int64_t c = 0; c < a.dim; ++c) {
                query_norm[q] += a.query[q][c] * a.query[q][c];
            }
        }
    }
    for (std::int64_t at = first * state_block; at < end; at += unroll * lanes) {
        const std::int64_t block = at / state_block, in_block = at % state_block;
        const std::int64_t to = at - first * state_block;
        if (unroll * lanes > score_group && end - at <= half * lanes) {
            scores_at<Queries, half, type>(a, query_norm, block, in_block, to);
        } else {
            scores_at<Queries, unroll, type>(a, query_norm, block, in_block, to);
        }
    }
}

// How many queries of a tile the registers take at once.
#if (HWY_TARGET <= HWY_AVX3 && HWY_ARCH_X86) || HWY_ARCH_ARM_A64
constexpr int queries_at_once = 4; // of 32 registers
#else
constexpr int queries_at_once = 2; // of 16
#endif

template <DType type> void scores_of(const ScoreArgs& a, std::int64_t first, std::int64_t end) {
    switch (a.queries) {
    case 1:
        return scores_of<1, type>(a, first, end);
    case 2:
        return scores_of<2, type>(a, first, end);
    case 3:
        return scores_of<3, type>(a, first, end);
    default:
        scores_of<4, type>(a, first, end);
    }
}

void ScoresKernel(const ScoreArgs& args, std::int64_t first, std::int64_t end) {
    for (int at = 0; at < args.queries;) {
        ScoreArgs some = args;
        some.queries = std::min(args.queries - at, queries_at_once);
        std::copy_n(args.query + at, some.queries, some.query);
        std::copy_n(args.out + at, some.queries, some.out);
        switch (some.type) {
        case DType::bf16:
            scores_of<DType::bf16>(some, first, end);
            break;
        case DType::q8:
            scores_of<DType::q8>(some, first, end);
            break;
        default:
            scores_of<DType::f32>(some, first, end);
        }
        at += some.queries;
    }
}

LogitResult LogitsKernel(const LogitArgs& a, std::int64_t first, std::int64_t count, const float* scores,
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
    for (std::int64_t i = 0; i < count; i += lanes) {
        V score = hn::LoadU(d, scores + i);
        if (a.gravity) {
            score = hn::Div(strength, hn::NegMulAdd(distance_scale, score, softening));
        }
        V logit = hn::Mul(hn::Mul(alpha, score), scale);
        if (!a.distances && i + base >= a.begin && i + base + lanes <= a.end) {
            largest = hn::Max(largest, logit);
            hn::StoreU(logit, d, logits + i);
            continue;
        }
        const auto position = hn::Iota(di, static_cast<std::int32_t>(i));
        auto keep = hn::RebindMask(d, hn::And(hn::Gt(position, begin), hn::Lt(position, end)));
        if (a.distances) {
            const std::int64_t block = first + i / state_block;
            const V distance = hn::Load(d, a.distances + block * a.stride + i % state_block);
            if (a.mode == Ball::Mode::hard) {
                keep = hn::And(keep, hn::Le(distance, radius));
            } else {
                const V outside = hn::Max(hn::Sub(distance, radius), hn::Zero(d));
                logit = hn::NegMulAdd(softness, hn::Add(outside, query_outside), logit);
            }
        }
        logit = hn::IfThenElse(keep, logit, masked);
        if (a.distances) {
            result.kept += static_cast<std::int64_t>(hn::CountTrue(d, keep));
        }
        largest = hn::Max(largest, logit);
        hn::StoreU(logit, d, logits + i);
    }
    if (!a.distances) {
        result.kept = a.end - a.begin;
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
        const V e0 = exponential_below_zero(d, below0), e1 = exponential_below_zero(d, below1);
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

// Channels of a pass: few queries leave registers for more, and long reads.
template <int Queries> constexpr int channels_at_once = queries_at_once == 4 && Queries <= 2 ? 8 : 4;

template <int Queries, int Channels>
HWY_INLINE void channels_of(const ValueArgs& a, std::int64_t channel, std::int64_t first, std::int64_t last) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    V sum[Queries][Channels];
#pragma GCC unroll 4
    for (int q = 0; q < Queries; ++q) {
#pragma GCC unroll 8
        for (int c = 0; c < Channels; ++c) {
            sum[q][c] = hn::Zero(d);
        }
    }
    const auto add = [&](std::int64_t block, std::int64_t at, const V* v) HWY_ATTR {
#pragma GCC unroll 4
        for (int q = 0; q < Queries; ++q) {
            const V weight = hn::LoadU(d, a.weights[q] + (block - first) * state_block + at);
#pragma GCC unroll 8
            for (int c = 0; c < Channels; ++c) {
                sum[q][c] = hn::MulAdd(weight, v[c], sum[q][c]);
            }
        }
    };
    const std::int64_t whole = std::min(last, a.end / state_block);
    V v[Channels];
    const auto values_of_block = [&](std::int64_t block) HWY_ATTR {
        return reinterpret_cast<const float*>(a.values + block * a.stride) + channel * state_block;
    };
    for (std::int64_t block = first; block < whole; ++block) {
        const float* values = values_of_block(block);
        for (std::int64_t at = 0; at < state_block; at += lanes) {
#pragma GCC unroll 8
            for (int c = 0; c < Channels; ++c) {
                v[c] = hn::Load(d, values + c * state_block + at);
            }
            add(block, at, v);
        }
    }
    for (std::int64_t block = whole; block < last; ++block) { // positions from the end on may hold anything
        const float* values = values_of_block(block);
        for (std::int64_t at = 0; at < state_block; at += lanes) {
            const std::int64_t left = std::min(a.end - block * state_block - at, lanes);
            if (left <= 0) {
                break;
            }
            const auto valid = hn::FirstN(d, static_cast<std::size_t>(left));
#pragma GCC unroll 8
            for (int c = 0; c < Channels; ++c) {
                v[c] = hn::MaskedLoad(valid, d, values + c * state_block + at);
            }
            add(block, at, v);
        }
    }
    for (int q = 0; q < Queries; ++q) {
        for (int c = 0; c < Channels; ++c) {
            a.out[q][channel + c] = a.factor[q] * hn::GetLane(hn::SumOfLanes(d, sum[q][c]));
        }
    }
}

// Adds the positions [from, to) to Vectors vectors of channels. Rows: vectors run over channels.
template <int Queries, int Vectors, DType type>
HWY_INLINE void add_rows(const ValueArgs& a, std::int64_t channel, std::int64_t first, std::int64_t from,
                         std::int64_t to) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    V sum[Queries][Vectors];
#pragma GCC unroll 4
    for (int q = 0; q < Queries; ++q) {
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) {
            sum[q][v] = hn::LoadU(d, a.out[q] + channel + v * lanes);
        }
    }
    const std::byte* values = a.values + from * a.stride;
    for (std::int64_t j = from; j < to; ++j, values += a.stride) {
        V value[Vectors];
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) {
            value[v] = read_row<type>(d, values, a.channels, channel + v * lanes);
        }
#pragma GCC unroll 4
        for (int q = 0; q < Queries; ++q) {
            const V weight = hn::Set(d, a.weights[q][j - first * state_block]);
#pragma GCC unroll 8
            for (int v = 0; v < Vectors; ++v) {
                sum[q][v] = hn::MulAdd(weight, value[v], sum[q][v]);
            }
        }
    }
#pragma GCC unroll 4
    for (int q = 0; q < Queries; ++q) {
#pragma GCC unroll 8
        for (int v = 0; v < Vectors; ++v) {
            hn::StoreU(sum[q][v], d, a.out[q] + channel + v * lanes);
        }
    }
}

// Most vectors of channels of a pass: few queries leave registers for more.
template <int Queries> constexpr int vectors_at_once = queries_at_once == 4 && Queries <= 2 ? 8 : 4;

// All channels from `channel` on, as many at a time as there are: a position is best read in one piece.
template <int Queries, int Vectors, DType type>
HWY_INLINE void all_channels(const ValueArgs& a, std::int64_t channel, std::int64_t first, std::int64_t from,
                             std::int64_t to) {
    constexpr std::int64_t step = Vectors * hn::MaxLanes(D());
    for (; channel + step <= a.channels; channel += step) {
        add_rows<Queries, Vectors, type>(a, channel, first, from, to);
    }
    if constexpr (Vectors > 1) {
        all_channels<Queries, Vectors / 2, type>(a, channel, first, from, to);
    }
}

template <int Queries, DType type> void rows_of(const ValueArgs& a, std::int64_t first, std::int64_t last) {
    const D d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    for (int q = 0; q < Queries; ++q) {
        std::fill(a.out[q], a.out[q] + a.channels, 0.0f);
    }
    for (std::int64_t block = first; block < last; ++block) { // passes over it find it in the first cache
        const std::int64_t from = block * state_block, to = std::min(from + state_block, a.end);
        all_channels<Queries, vectors_at_once<Queries>, type>(a, 0, first, from, to);
    }
    for (int q = 0; q < Queries; ++q) {
        for (std::int64_t c = 0; c < a.channels; c += lanes) {
            hn::StoreU(hn::Mul(hn::Set(d, a.factor[q]), hn::LoadU(d, a.out[q] + c)), d, a.out[q] + c);
        }
    }
}

template <int Queries> void values_of(const ValueArgs& a, std::int64_t first, std::int64_t last) {
    if (a.rows) {
        return a.type == DType::bf16 ? rows_of<Queries, DType::bf16>(a, first, last)
               : a.type == DType::q8 ? rows_of<Queries, DType::q8>(a, first, last)
                                     : rows_of<Queries, DType::f32>(a, first, last);
    }
    std::int64_t c = 0;
    for (; c + channels_at_once<Queries> <= a.channels; c += channels_at_once<Queries>) {
        channels_of<Queries, channels_at_once<Queries>>(a, c, first, last);
    }
    for (; c < a.channels; ++c) {
        channels_of<Queries, 1>(a, c, first, last);
    }
}

void WeightedValuesKernel(const ValueArgs& args, std::int64_t first, std::int64_t last) {
    for (int at = 0; at < args.queries;) {
        ValueArgs some = args;
        some.queries = std::min(args.queries - at, queries_at_once);
        std::copy_n(args.weights + at, some.queries, some.weights);
        std::copy_n(args.factor + at, some.queries, some.factor);
        std::copy_n(args.out + at, some.queries, some.out);
        switch (some.queries) {
        case 1:
            values_of<1>(some, first, last);
            break;
        case 2:
            values_of<2>(some, first, last);
            break;
        case 3:
            values_of<3>(some, first, last);
            break;
        default:
            values_of<4>(some, first, last);
        }
        at += some.queries;
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

void scores(const ScoreArgs& args, std::int64_t first, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(ScoresKernel)(args, first, end);
}

LogitResult logits(const LogitArgs& args, std::int64_t first, std::int64_t count, const float* scores_in,
                   float* logits_out) {
    return HWY_DYNAMIC_DISPATCH(LogitsKernel)(args, first, count, scores_in, logits_out);
}

float exponentials(float maximum, std::int64_t count, float* x, float* weighted) {
    return HWY_DYNAMIC_DISPATCH(ExponentialsKernel)(maximum, count, x, weighted);
}

void weighted_values(const ValueArgs& args, std::int64_t first, std::int64_t last) {
    HWY_DYNAMIC_DISPATCH(WeightedValuesKernel)(args, first, last);
}

std::string instruction_set() {
    const std::int64_t usable = hwy::SupportedTargets() & HWY_TARGETS;
    const std::string name = hwy::TargetName(usable & -usable); // the best target is the lowest bit
    return name.starts_with("AVX3") ? "AVX-512" : name;
}

} // namespace ergo::cpu
#endif // HWY_ONCE
