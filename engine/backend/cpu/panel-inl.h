// SPDX-License-Identifier: GPL-3.0-or-later
// Weights stored row by row, turned so that vectors run over outputs; included once per instruction set by
// the kernel files.
#if defined(ERGO_CPU_PANEL_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ERGO_CPU_PANEL_INL_H_
#undef ERGO_CPU_PANEL_INL_H_
#else
#define ERGO_CPU_PANEL_INL_H_
#endif

#include "engine/backend/cpu/kernels.h"
#include "engine/backend/cpu/weights-inl.h"

#include <hwy/highway.h>

#include <algorithm>

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

constexpr int panel_vectors = 2, panel_outputs = panel_vectors * lanes;

/// Row r of `count` rows; those beyond repeat the last, and nobody reads what they give.
template <class W>
HWY_INLINE const typename W::Stored* row_or_last(const LinearArgs& a, std::int64_t o, std::int64_t end) {
    return static_cast<const typename W::Stored*>(a.weight) + std::min(o, end - 1) * a.inputs;
}

/// Columns [0, count) of `lanes` rows from output o on, the short way round: for a matrix's last rows and
/// columns.
template <class W, class Use>
HWY_NOINLINE void ragged(D d, const LinearArgs& a, std::int64_t o, std::int64_t first, std::int64_t count,
                         std::int64_t end, const Use& use) {
    HWY_ALIGN float column[lanes];
    for (std::int64_t c = 0; c < count; ++c) {
        for (int r = 0; r < lanes; ++r) {
            column[r] = W::scalar(row_or_last<W>(a, o + r, end)[first + c]);
        }
        use(static_cast<int>(c), hwy::HWY_NAMESPACE::Load(d, column));
    }
}

/// Inputs [first, last) of panel_outputs outputs from o on: [input][output] in float32.
template <class W>
HWY_NOINLINE void pack_panel(const LinearArgs& a, std::int64_t o, std::int64_t end, std::int64_t first,
                             std::int64_t last, float* HWY_RESTRICT panel) {
    const D d;
    for (int v = 0; v < panel_vectors; ++v, o += lanes, panel += lanes) {
        std::int64_t i = first;
        if (o + lanes <= end) {
            const auto* w = static_cast<const typename W::Stored*>(a.weight) + o * a.inputs;
            for (; i + W::columns <= last; i += W::columns) {
                float* to = panel + (i - first) * panel_outputs;
                square<W>(d, w + i, a.inputs, [&](int c, V weight) HWY_ATTR {
                    hwy::HWY_NAMESPACE::StoreU(weight, d, to + c * panel_outputs);
                });
            }
        }
        if (i < last) {
            float* to = panel + (i - first) * panel_outputs;
            ragged<W>(d, a, o, i, last - i, end, [&](int c, V weight) HWY_ATTR {
                hwy::HWY_NAMESPACE::StoreU(weight, d, to + c * panel_outputs);
            });
        }
    }
}

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
