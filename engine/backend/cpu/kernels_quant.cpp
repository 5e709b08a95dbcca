// SPDX-License-Identifier: GPL-3.0-or-later
// Compiled without contraction of multiplications and additions (engine/CMakeLists.txt).
#include "engine/backend/cpu/kernels_quant.h"

#include "engine/base/error.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/kernels_quant.cpp"
// clang-format off
#include <hwy/foreach_target.h> // must come before highway.h
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
void RoundRowsKernel(const float* const* in, std::int64_t inputs, std::int64_t begin, std::int64_t end,
                     const QuantRows& to) {
    const DF df;
    const DI di;
    const hn::Rebind<std::int8_t, DF> d8;
    constexpr float largest_number = 32512; // reference::largest_number
    constexpr std::int32_t infinity = 0x7f800000;
    constexpr auto least = std::bit_cast<std::int32_t>(1e-30f); // reference::least_magnitude
    HWY_ALIGN float tail[group_inputs];
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
            const VF inverse = hn::Set(df, usable ? largest_number / largest : 0.0f);
            std::int8_t* const numbers = to.numbers + (r * to.groups + g) * 2 * group_inputs;
            VI sum = hn::Zero(di);
            for (int i = 0; i < group_inputs; i += lanes) {
                const VI q = usable ? hn::NearestInt(hn::Mul(hn::LoadU(df, x + i), inverse)) : hn::Zero(di);
                const VI high = hn::NearestInt(hn::Mul(hn::ConvertTo(df, q), hn::Set(df, 1.0f / 255)));
                const VI low = hn::Add(hn::Sub(q, hn::ShiftLeft<8>(high)), high);
                sum = hn::Add(sum, q);
                hn::StoreU(hn::DemoteTo(d8, high), d8, numbers + i);
                hn::StoreU(hn::DemoteTo(d8, low), d8, numbers + group_inputs + i);
            }
            const std::int32_t total = hn::GetLane(hn::SumOfLanes(di, sum));
            const float scale = usable             ? largest * (1.0f / largest_number)
                                : bits >= infinity ? std::numeric_limits<float>::quiet_NaN()
                                                   : 0.0f;
            to.scales[r * to.groups + g] = scale;
            to.sums[r * to.groups + g] = scale * static_cast<float>(total);
            to.offsets[r * to.groups + g] = -128 * total;
        }
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

constexpr const char* vnni_name = "AVX3_VNNI";

bool has_vnni() {
#ifdef ERGO_QUANT_HAVE_VNNI
    return (hwy::SupportedTargets() & HWY_AVX3) != 0 && __builtin_cpu_supports("avx512vnni") != 0;
#else
    return false;
#endif
}

std::atomic<bool> use_vnni{has_vnni()};

} // namespace

std::uint64_t QuantRows::bytes(std::int64_t rows, std::int64_t inputs) {
    const std::int64_t groups = rows * groups_of(inputs);
    return static_cast<std::uint64_t>(padded(groups * 2 * group_inputs) + 3 * padded(groups * 4));
}

QuantRows QuantRows::at(std::byte* memory, std::int64_t rows, std::int64_t inputs) {
    const std::int64_t groups = rows * groups_of(inputs), step = padded(groups * 4);
    std::byte* const floats = memory + padded(groups * 2 * group_inputs);
    return {groups_of(inputs), reinterpret_cast<std::int8_t*>(memory), reinterpret_cast<float*>(floats),
            reinterpret_cast<float*>(floats + step), reinterpret_cast<std::int32_t*>(floats + 2 * step)};
}

void round_rows(const float* const* in, std::int64_t inputs, std::int64_t begin, std::int64_t end,
                const QuantRows& to) {
    HWY_DYNAMIC_DISPATCH(RoundRowsKernel)(in, inputs, begin, end, to);
}

void linear_quant(const QuantLinearArgs& args, std::int64_t begin, std::int64_t end) {
#ifdef ERGO_QUANT_HAVE_VNNI
    if (use_vnni.load(std::memory_order_relaxed)) {
        return linear_quant_vnni(args, begin, end);
    }
#endif
    HWY_DYNAMIC_DISPATCH(QuantLinearKernel)(args, begin, end);
}

std::vector<std::string> quant_instruction_sets() {
    std::vector<std::string> names;
    if (has_vnni()) {
        names.emplace_back(vnni_name);
    }
    for (std::int64_t targets = hwy::SupportedTargets() & HWY_TARGETS; targets != 0; targets &= targets - 1) {
        names.emplace_back(hwy::TargetName(targets & ~(targets - 1)));
    }
    return names;
}

void use_quant_instruction_set(const std::string& name) {
    hwy::SetSupportedTargetsForTest(0);
    use_vnni = has_vnni() && (name.empty() || name == vnni_name);
    std::int64_t wanted = use_vnni ? HWY_AVX3 : 0;
    for (std::int64_t targets = hwy::SupportedTargets() & HWY_TARGETS; targets != 0; targets &= targets - 1) {
        const std::int64_t target = targets & ~(targets - 1);
        wanted = name == hwy::TargetName(target) ? target : wanted;
    }
    if (wanted == 0 && !name.empty()) {
        throw Error(ErrorKind::usage, "the kernels cannot run with '" + printable(name) + "' here.");
    }
    // Worse ones stay, for files that are not compiled for the wanted one: their numbers are larger.
    if (!name.empty()) {
        hwy::SetSupportedTargetsForTest(hwy::SupportedTargets() & ~(wanted - 1));
    }
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
}

} // namespace ergo::cpu
#endif // HWY_ONCE
