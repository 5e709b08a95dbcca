// SPDX-License-Identifier: GPL-3.0-or-later
// Reading keys and values as floats, whatever they are kept in; included once per instruction set by the
// kernel files.
#if defined(ERGO_CPU_STATE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef ERGO_CPU_STATE_INL_H_
#undef ERGO_CPU_STATE_INL_H_
#else
#define ERGO_CPU_STATE_INL_H_
#endif

#include "engine/backend/cpu/kernels.h"
#include "engine/backend/rounded_state.h"

#include <hwy/highway.h>

#include <cstddef>

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

/// Bytes of a number, without any scale.
template <DType type>
inline constexpr std::int64_t stored_size = type == DType::f32    ? 4
                                            : type == DType::bf16 ? 2
                                                                  : 1;

/// A vector of numbers that lie one after the other, before any scale.
template <DType type, class D> HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> load_stored(D d, const std::byte* from) {
    namespace hn = hwy::HWY_NAMESPACE;
    if constexpr (type == DType::bf16) {
        const hn::Rebind<std::uint16_t, D> half;
        const hn::RebindToUnsigned<D> whole;
        const auto bits = hn::LoadU(half, reinterpret_cast<const std::uint16_t*>(from));
        return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(whole, bits)));
    } else if constexpr (type == DType::q8) {
        const hn::Rebind<std::int8_t, D> byte;
        const hn::RebindToSigned<D> whole;
        const auto small = hn::LoadU(byte, reinterpret_cast<const std::int8_t*>(from));
        return hn::ConvertTo(d, hn::PromoteTo(whole, small));
    } else {
        return hn::Load(d, reinterpret_cast<const float*>(from));
    }
}

/// Channels of Vectors vectors of positions of one block [dim][state_block]; in q8, [dim / state_group] times
/// scales [state_block] of floats and then the group's channels, one stream. Channels are read in order.
template <DType type, int Vectors, class D> class BlockReader {
  public:
    using V = hwy::HWY_NAMESPACE::Vec<D>;
    HWY_INLINE BlockReader(const std::byte* block, std::int64_t position)
        : channel_(block + position * size), scales_(block + position * std::int64_t{sizeof(float)}) {}

    HWY_INLINE void read(D d, std::int64_t c, V* k) {
        namespace hn = hwy::HWY_NAMESPACE;
        if (type == DType::q8 && c % state_group == 0) {
            begin_group(d);
        }
        read_stored(d, k);
        if constexpr (type == DType::q8) {
#pragma GCC unroll 4
            for (int u = 0; u < Vectors; ++u) {
                k[u] = hn::Mul(k[u], scale_[u]);
            }
        }
    }

    /// In q8, goes on to the next group, whose scales are `scale()`.
    HWY_INLINE void begin_group(D d) {
        namespace hn = hwy::HWY_NAMESPACE;
        const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
#pragma GCC unroll 4
        for (int u = 0; u < Vectors; ++u) {
            scale_[u] = hn::LoadU(d, reinterpret_cast<const float*>(scales_) + u * lanes);
        }
        channel_ += state_block * std::int64_t{sizeof(float)};
        scales_ += state_block * (state_group + std::int64_t{sizeof(float)});
    }
    HWY_INLINE V scale(int u) const {
        return scale_[u];
    }

    /// The next channel before any scale.
    HWY_INLINE void read_stored(D d, V* k) {
        const auto lanes = static_cast<std::int64_t>(hwy::HWY_NAMESPACE::Lanes(d));
#pragma GCC unroll 4
        for (int u = 0; u < Vectors; ++u) {
            k[u] = load_stored<type>(d, channel_ + u * lanes * size);
        }
        channel_ += state_block * size;
    }

  private:
    static constexpr std::int64_t size = stored_size<type>;
    const std::byte *channel_, *scales_;
    V scale_[Vectors];
};

/// A vector of channels of one position [dim]; in q8, scales [dim / state_group] of floats follow.
template <DType type, class D>
HWY_INLINE hwy::HWY_NAMESPACE::Vec<D> read_row(D d, const std::byte* row, std::int64_t dim, std::int64_t c) {
    namespace hn = hwy::HWY_NAMESPACE;
    const auto value = load_stored<type>(d, row + c * stored_size<type>);
    if constexpr (type == DType::q8) {
        const auto* scales = reinterpret_cast<const float*>(row + dim);
        return hn::Mul(value, hn::Set(d, scales[c / state_group]));
    } else {
        return value;
    }
}

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#endif // per-target include guard
