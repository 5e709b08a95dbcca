// SPDX-License-Identifier: GPL-3.0-or-later
// Interleaving of matrices while they are loaded.
#include "engine/backend/cpu/kernels.h"

#include <algorithm>
#include <cstdint>
#include <memory>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/kernels_interleave.cpp"
// clang-format off
#include <hwy/foreach_target.h> // must come before highway.h
#include <hwy/highway.h>
#include "engine/backend/cpu/squares-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

template <class T> void groups_of(std::int64_t inputs, std::int64_t begin, std::int64_t end, T* weight) {
    const std::int64_t stride = apart<T>(inputs);
    const auto rows = std::make_unique_for_overwrite<T[]>(static_cast<std::size_t>(interleave * stride));
    for (std::int64_t group = begin; group < end; ++group) {
        T* const to = weight + group * interleave * inputs;
        for (std::int64_t o = 0; o < interleave; ++o) {
            std::copy_n(to + o * inputs, inputs, rows.get() + o * stride);
        }
        side_by_side(rows.get(), stride, 0, inputs, to);
    }
}

void InterleaveKernel(DType type, std::int64_t inputs, std::int64_t begin, std::int64_t end, void* weight) {
    if (type == DType::f32) {
        groups_of(inputs, begin, end, static_cast<std::uint32_t*>(weight));
    } else {
        groups_of(inputs, begin, end, static_cast<std::uint16_t*>(weight));
    }
}

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ergo::cpu {

HWY_EXPORT(InterleaveKernel);

void interleave_groups(DType type, std::int64_t inputs, std::int64_t begin, std::int64_t end, void* weight) {
    HWY_DYNAMIC_DISPATCH(InterleaveKernel)(type, inputs, begin, end, weight);
}

} // namespace ergo::cpu
#endif // HWY_ONCE
