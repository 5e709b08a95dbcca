// SPDX-License-Identifier: GPL-3.0-or-later
// Compiled without contraction of multiplications and additions (engine/CMakeLists.txt).
#include "engine/backend/cpu/kernels_quant.h"

#include "engine/backend/cpu/ahead.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <type_traits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/kernels_quant.cpp"
// clang-format off
#include <hwy/foreach_target.h> // must come before highway.h
#include <hwy/cache_control.h>
#include <hwy/highway.h>
#include "engine/backend/cpu/activation-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using DF = hn::CappedTag<float, 16>;
using DI = hn::RebindToSigned<DF>;
using VF = hn::Vec<DF>;
using VI = hn::Vec<DI>;
constexpr int lanes = static_cast<int>(hn::MaxLanes(DF()));
constexpr int parts = 16 / lanes; // vectors that hold a value for each output of a strip

// --- rows to whole numbers -------------------------------------------------------------------------------
// Numbers [i, i + lanes) of a group of 32: bytes in order, or 16 bits in the order in which weights of 8 bits
// fall apart (quant_tile-inl.h).
HWY_INLINE void put_bytes(VI q, int i, bool past_caches, std::byte* group) {
    const hn::Rebind<std::int8_t, DF> d8;
    auto* const to = reinterpret_cast<std::int8_t*>(group) + i;
    if (lanes == 16 && past_caches) {
        hn::Stream(hn::DemoteTo(d8, q), d8, to); // writes 16 bytes, however few the vector has
    } else {
        hn::StoreU(hn::DemoteTo(d8, q), d8, to);
    }
}

HWY_INLINE void put_pairs(VI q, int i, std::byte* group) {
    const hn::Rebind<std::int16_t, DF> d16;
    auto* const to = reinterpret_cast<std::int16_t*>(group);
    if constexpr (lanes == 1) {
        constexpr int place[] = {0, 2, 1, 3};
        hn::StoreU(hn::DemoteTo(d16, q), d16, to + i / 4 * 4 + place[i % 4]);
    } else {
        HWY_ALIGN static constexpr std::int32_t order[] = {0, 2,  1, 3,  4,  6,  5,  7,
                                                           8, 10, 9, 11, 12, 14, 13, 15};
        hn::StoreU(hn::DemoteTo(d16, hn::TableLookupLanes(q, hn::SetTableIndices(DI(), order))), d16, to + i);
    }
}

void RoundRowsKernel(const float* const* in, std::int64_t inputs, Rounding rounding, std::int64_t begin,
                     std::int64_t end, const QuantRows& to) {
    const DF df;
    const DI di;
    const float most_number = rounding == Rounding::bits8 ? 127 : 32767; // reference::largest_number
    const float unit = 1.0f / most_number;
    constexpr std::int32_t infinity = 0x7f800000;
    constexpr auto least = std::bit_cast<std::int32_t>(1e-30f); // reference::least_magnitude
    HWY_ALIGN float tail[group_inputs];
    const bool past_caches = end - begin > 1; // as kernels_linear.cpp lays rows out; one is small
    for (std::int64_t r = begin; r < end; ++r) {
        for (std::int64_t g = 0; g < to.groups; ++g) {
            const float* x = in[r] + g * group_inputs;
            const std::int64_t count = std::min(group_inputs, inputs - g * group_inputs);
            if (count < group_inputs) {
                std::fill(std::copy_n(x, count, tail), tail + group_inputs, 0.0f);
                x = tail;
            }
            // Bits of magnitudes are ordered as magnitudes are, with infinity and NaN above all numbers.
            VI most = hn::Zero(di);
            for (int i = 0; i < group_inputs; i += lanes) {
                most = hn::Max(most, hn::And(hn::BitCast(di, hn::LoadU(df, x + i)), hn::Set(di, 0x7fffffff)));
            }
            const std::int32_t bits = hn::GetLane(hn::MaxOfLanes(di, most));
            const auto largest = std::bit_cast<float>(bits);
            const bool usable = bits >= least && bits < infinity;
            const VF inverse = hn::Set(df, usable ? most_number / largest : 0.0f);
            const std::int64_t at = r * to.groups + g;
            VI sums[2] = {hn::Zero(di), hn::Zero(di)}; // of the first 16 and of the others
            for (int i = 0; i < group_inputs; i += lanes) {
                // A mask, not a product with 0: infinity would stay.
                const VF number = usable ? hn::LoadU(df, x + i) : hn::Zero(df);
                const VI q = hn::NearestInt(hn::Mul(number, inverse));
                VI& sum = sums[i / (group_inputs / 2)];
                sum = hn::Add(sum, q);
                if (to.bytes) {
                    put_bytes(q, i, past_caches, to.numbers + at * group_inputs);
                } else {
                    put_pairs(q, i, to.numbers + at * 2 * group_inputs);
                }
            }
            const std::int32_t total = hn::GetLane(hn::SumOfLanes(di, hn::Add(sums[0], sums[1])));
            const float scale = usable             ? largest * unit
                                : bits >= infinity ? std::numeric_limits<float>::quiet_NaN()
                                                   : 0.0f;
            to.scales[at] = scale;
            if (to.sums) {
                to.sums[at] = scale * static_cast<float>(total);
            }
            if (to.offsets) {
                to.offsets[at] = -128 * total;
            }
            if (to.halves) {
                const std::int32_t first_half = hn::GetLane(hn::SumOfLanes(di, sums[0]));
                to.halves[2 * at] = -32 * first_half;
                to.halves[2 * at + 1] = -32 * (total - first_half);
            }
        }
    }
    if (past_caches) {
        hwy::FlushStream();
    }
}

#define ERGO_QUANT_VNNI 0
#include "engine/backend/cpu/quant_tile-inl.h"
#undef ERGO_QUANT_VNNI

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#if HWY_TARGET == HWY_AVX3
HWY_PUSH_ATTRIBUTES(HWY_TARGET_STR_AVX3 ",avx512vnni")
namespace ergo::cpu::HWY_NAMESPACE::vnni {
#define ERGO_QUANT_VNNI 1
#include "engine/backend/cpu/quant_tile-inl.h"
#undef ERGO_QUANT_VNNI
} // namespace ergo::cpu::HWY_NAMESPACE::vnni
HWY_POP_ATTRIBUTES
#define ERGO_QUANT_HAVE_VNNI 1
namespace ergo::cpu {
void linear_quant_vnni(const QuantLinearArgs& args, std::int64_t begin, std::int64_t end) {
    HWY_NAMESPACE::vnni::QuantLinearKernel(args, begin, end);
}
} // namespace ergo::cpu
#endif

#if HWY_ONCE
namespace ergo::cpu {

HWY_EXPORT(RoundRowsKernel);
HWY_EXPORT(QuantLinearKernel);

namespace {

std::int64_t padded(std::int64_t bytes) {
    return (bytes + 63) / 64 * 64;
}

} // namespace

bool has_vnni() {
#ifdef ERGO_QUANT_HAVE_VNNI
    return (hwy::SupportedTargets() & HWY_AVX3) != 0 && __builtin_cpu_supports("avx512vnni") != 0;
#else
    return false;
#endif
}

std::uint64_t QuantRows::bytes_for(std::int64_t rows, std::int64_t inputs) {
    const std::int64_t groups = rows * groups_of(inputs);
    return static_cast<std::uint64_t>(padded(groups * 2 * group_inputs) + 5 * padded(groups * 4));
}

void GroupSums::add(DType form) {
    sums = sums || has_minimums(form);
    offsets = offsets || form == DType::q8;
    halves = halves || form == DType::q6_k;
}

QuantRows QuantRows::at(std::byte* memory, std::int64_t rows, std::int64_t inputs, bool bytes,
                        GroupSums wanted) {
    const std::int64_t groups = rows * groups_of(inputs), step = padded(groups * 4);
    std::byte* const floats = memory + padded(groups * 2 * group_inputs);
    const auto whole = [&](bool is_wanted, std::int64_t before) {
        return is_wanted ? reinterpret_cast<std::int32_t*>(floats + before * step) : nullptr;
    };
    return {groups_of(inputs),
            bytes,
            memory,
            reinterpret_cast<float*>(floats),
            wanted.sums ? reinterpret_cast<float*>(floats + step) : nullptr,
            whole(wanted.offsets, 2),
            whole(wanted.halves, 3)};
}

void round_rows(const float* const* in, std::int64_t inputs, Rounding rounding, std::int64_t begin,
                std::int64_t end, const QuantRows& to) {
    HWY_DYNAMIC_DISPATCH(RoundRowsKernel)(in, inputs, rounding, begin, end, to);
}

void linear_quant(const QuantLinearArgs& args, std::int64_t begin, std::int64_t end) {
#ifdef ERGO_QUANT_HAVE_VNNI
    if (args.vnni) {
        return linear_quant_vnni(args, begin, end);
    }
#endif
    HWY_DYNAMIC_DISPATCH(QuantLinearKernel)(args, begin, end);
}

} // namespace ergo::cpu
#endif // HWY_ONCE
