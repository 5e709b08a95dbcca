// SPDX-License-Identifier: GPL-3.0-or-later
// What readers of every row of every head pay for: the keys with the largest logits, and how many keys a ball
// keeps.
#include "engine/backend/cpu/kernels.h"

#include <algorithm>
#include <cmath>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/kernels_taps.cpp"
// clang-format off
#include <hwy/foreach_target.h> // must come before highway.h
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr int most = static_cast<int>(most_largest);
/// A row is cut into parts. At least `most` keys are not below the most-th largest of the parts' largest:
/// this floor leaves about ten keys to look at, however long the row.
constexpr int parts = 16;
/// Which keys those are is as good as random: they are written down without a branch, for this many keys at
/// once.
constexpr std::int64_t listed = 256;

/// The largest logits of one row so far, by falling logit.
struct Largest {
    float logits[most];
    float* keys;
    void offer(float logit, float key) {
        if (!(logit > logits[most - 1])) {
            return;
        }
        int place = most - 1;
        for (; place > 0 && logit > logits[place - 1]; --place) {
            logits[place] = logits[place - 1];
            keys[place] = keys[place - 1];
        }
        logits[place] = logit;
        keys[place] = key;
    }
};

using Part =
    hn::CappedTag<float, parts>; // vectors of a row; lane i of vector u belongs to part u * lanes + i

float floor_of_parts(const float* maxima) {
    const Part d;
    float floor = -INFINITY;
    for (int i = 0; i < parts; ++i) {
        std::size_t not_below = 0;
        for (std::size_t at = 0; at < parts; at += hn::Lanes(d)) {
            not_below += hn::CountTrue(d, hn::Ge(hn::Load(d, maxima + at), hn::Set(d, maxima[i])));
        }
        floor = not_below >= most ? std::max(floor, maxima[i]) : floor;
    }
    return floor;
}

void LargestKernel(const float* logits, std::int64_t count, std::int64_t base, float* keys) {
    const Part d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    const std::int64_t whole = count / parts * parts;
    alignas(64) float maxima[parts];
    for (std::int64_t at = 0; at < parts; at += lanes) {
        auto largest = hn::Set(d, -INFINITY);
        for (std::int64_t j = at; j < whole; j += parts) {
            largest = hn::Max(largest, hn::LoadU(d, logits + j));
        }
        hn::Store(largest, d, maxima + at);
    }
    const auto floor = hn::Set(d, floor_of_parts(maxima));
    Largest best{{}, keys};
    std::fill_n(best.logits, most, -INFINITY);
    std::fill_n(keys, most, -1.0f);
    float found[listed + parts], places[listed + parts];
    for (std::int64_t begin = 0; begin < whole; begin += listed) {
        std::int64_t n = 0;
        for (std::int64_t j = begin; j < std::min(begin + listed, whole); j += lanes) {
            const auto logit = hn::LoadU(d, logits + j);
            const auto candidates = hn::Ge(logit, floor);
            hn::StoreU(hn::Compress(logit, candidates), d, found + n);
            hn::StoreU(hn::Compress(hn::Iota(d, static_cast<float>(base + j)), candidates), d, places + n);
            n += static_cast<std::int64_t>(hn::CountTrue(d, candidates));
        }
        for (std::int64_t i = 0; i < n; ++i) {
            best.offer(found[i], places[i]);
        }
    }
    for (std::int64_t j = whole; j < count; ++j) {
        best.offer(logits[j], static_cast<float>(base + j));
    }
}

using Heads = hn::CappedTag<float, side>;
using V = hn::Vec<Heads>;

/// The largest logits of a vector of heads so far, each head's by falling logit.
struct LargestSide {
    V logits[most], keys[most];
    LargestSide() {
        for (int i = 0; i < most; ++i) {
            logits[i] = hn::Set(Heads(), -INFINITY);
            keys[i] = hn::Set(Heads(), -1.0f);
        }
    }
    // All heads at once: those for which nothing is to be listed exchange nothing.
    HWY_INLINE void offer(V logit, V key) {
#pragma GCC unroll 8
        for (int i = 0; i < most; ++i) {
            const auto above = hn::Gt(logit, logits[i]);
            const V lower = hn::IfThenElse(above, logits[i], logit);
            const V lower_key = hn::IfThenElse(above, keys[i], key);
            logits[i] = hn::IfThenElse(above, logit, logits[i]);
            keys[i] = hn::IfThenElse(above, key, keys[i]);
            logit = lower;
            key = lower_key;
        }
    }
};

V floor_side(const float* logits, std::int64_t count) {
    const Heads d;
    V largest[most];
    std::fill_n(largest, most, hn::Set(d, -INFINITY));
    const std::int64_t length = count / parts;
    for (int part = 0; part < parts; ++part) {
        V maximum = hn::Set(d, -INFINITY);
        for (std::int64_t j = part * length; j < (part + 1) * length; ++j) {
            maximum = hn::Max(maximum, hn::Load(d, logits + j * side));
        }
        for (int i = 0; i < most; ++i) {
            const V lower = hn::Min(maximum, largest[i]);
            largest[i] = hn::Max(maximum, largest[i]);
            maximum = lower;
        }
    }
    return largest[most - 1];
}

void SideLargestKernel(const float* logits, std::int64_t count, std::int64_t base, float* keys) {
    const Heads d;
    std::int32_t places[listed];
    for (std::int64_t at = 0; at < side; at += static_cast<std::int64_t>(hn::Lanes(d))) {
        const V floor = floor_side(logits + at, count);
        LargestSide best;
        for (std::int64_t begin = 0; begin < count; begin += listed) {
            const std::int64_t end = std::min(begin + listed, count);
            std::int64_t found = 0;
            for (std::int64_t j = begin; j < end; ++j) {
                places[found] = static_cast<std::int32_t>(j);
                const bool none = hn::AllFalse(d, hn::Ge(hn::Load(d, logits + j * side + at), floor));
                found += none ? 0 : 1;
            }
            for (std::int64_t i = 0; i < found; ++i) {
                best.offer(hn::Load(d, logits + places[i] * side + at),
                           hn::Set(d, static_cast<float>(base + places[i])));
            }
        }
        for (int i = 0; i < most; ++i) {
            hn::Store(best.keys[i], d, keys + i * side + at);
        }
    }
}

std::int64_t NotAboveKernel(const float* distances, std::int64_t count, float bound) {
    const hn::ScalableTag<float> d;
    const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
    std::int64_t found = 0, j = 0;
    for (; j + lanes <= count; j += lanes) {
        found += static_cast<std::int64_t>(
            hn::CountTrue(d, hn::Le(hn::LoadU(d, distances + j), hn::Set(d, bound))));
    }
    for (; j < count; ++j) {
        found += distances[j] <= bound ? 1 : 0;
    }
    return found;
}

void SideNotAboveKernel(const float* distances, std::int64_t count, const float* bounds, float* found) {
    const Heads d;
    const V one = hn::Set(d, 1.0f);
    for (std::int64_t at = 0; at < side; at += static_cast<std::int64_t>(hn::Lanes(d))) {
        const V bound = hn::Load(d, bounds + at);
        V sum = hn::Zero(d); // whole numbers below 2^24: exact
        for (std::int64_t j = 0; j < count; ++j) {
            sum =
                hn::Add(sum, hn::IfThenElseZero(hn::Le(hn::Load(d, distances + j * side + at), bound), one));
        }
        hn::Store(sum, d, found + at);
    }
}

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ergo::cpu {

HWY_EXPORT(LargestKernel);
HWY_EXPORT(SideLargestKernel);
HWY_EXPORT(NotAboveKernel);
HWY_EXPORT(SideNotAboveKernel);

void largest_logits(const float* logits, std::int64_t count, std::int64_t base, float* keys) {
    HWY_DYNAMIC_DISPATCH(LargestKernel)(logits, count, base, keys);
}
void side_largest_logits(const float* logits, std::int64_t count, std::int64_t base, float* keys) {
    HWY_DYNAMIC_DISPATCH(SideLargestKernel)(logits, count, base, keys);
}
std::int64_t count_not_above(const float* distances, std::int64_t count, float bound) {
    return HWY_DYNAMIC_DISPATCH(NotAboveKernel)(distances, count, bound);
}
void side_count_not_above(const float* distances, std::int64_t count, const float* bounds, float* found) {
    HWY_DYNAMIC_DISPATCH(SideNotAboveKernel)(distances, count, bounds, found);
}

} // namespace ergo::cpu
#endif // HWY_ONCE
