// SPDX-License-Identifier: GPL-3.0-or-later
// Packing of matrices while they are loaded (packed_floats.h). Every instruction set packs to the same
// bytes.
#include "engine/backend/cpu/packed_floats.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <memory>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "engine/backend/cpu/kernels_packing.cpp"
// clang-format off
#include <hwy/foreach_target.h> // must come before highway.h
#include <hwy/highway.h>
#include "engine/backend/cpu/squares-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace ergo::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

constexpr std::int64_t pair_numbers = 2 * interleave; // 2 inputs of all outputs
constexpr std::int64_t slots = 4, slot_bytes = 16;    // of 64 bytes

/// A slot of second bytes with its codes, from a block's pairs: numbers of 4 outputs and of those 16 outputs
/// on.
struct Slot {
    std::array<std::uint8_t, slot_bytes> lower, upper, codes;
    std::uint32_t exceptions; ///< a bit each
};

#if HWY_TARGET == HWY_SCALAR
Slot slot_of(const std::uint16_t* numbers, std::uint8_t base) {
    Slot slot{};
    for (std::size_t i = 0; i < slot_bytes; ++i) {
        const std::uint16_t number = numbers[i % 8 + i / 8 * interleave];
        const int exponent = number >> 8 & 0x7f, above = exponent - base;
        const bool told = above >= 1 && above <= packed_codes;
        slot.lower[i] = static_cast<std::uint8_t>(number);
        slot.upper[i] = static_cast<std::uint8_t>(number >> 8);
        slot.codes[i] = static_cast<std::uint8_t>((told ? above : 0) | (number >> 15 << 3));
        slot.exceptions |= std::uint32_t{!told && exponent != 0} << i;
    }
    return slot;
}
#else
HWY_INLINE Slot slot_of(const std::uint16_t* numbers, std::uint8_t base) {
    const hn::FixedTag<std::uint8_t, 16> d;
    const hn::Repartition<std::uint16_t, decltype(d)> d16;
    const auto first = hn::BitCast(d, hn::LoadU(d16, numbers));
    const auto second = hn::BitCast(d, hn::LoadU(d16, numbers + interleave));
    const auto upper = hn::ConcatOdd(d, second, first);
    const auto exponent = hn::And(upper, hn::Set(d, 0x7f)), above = hn::Sub(exponent, hn::Set(d, base));
    const auto below = hn::Sub(above, hn::Set(d, 1)); // the whole range of codes: 0 to 6
    const auto told = hn::Eq(hn::Min(below, hn::Set(d, packed_codes - 1)), below);
    const auto sign = hn::And(hn::BitCast(d, hn::ShiftRight<4>(hn::BitCast(d16, upper))), hn::Set(d, 8));
    const auto known = hn::Or(told, hn::Eq(exponent, hn::Zero(d)));
    Slot slot;
    hn::StoreU(hn::ConcatEven(d, second, first), d, slot.lower.data());
    hn::StoreU(upper, d, slot.upper.data());
    hn::StoreU(hn::Or(hn::IfThenElseZero(told, above), sign), d, slot.codes.data());
    std::uint8_t bits[8] = {};
    hn::StoreMaskBits(d, known, bits);
    slot.exceptions = ~(bits[0] | std::uint32_t{bits[1]} << 8) & 0xffff;
    return slot;
}
#endif

/// Two pairs of inputs; where the second is missing there is none of the first either.
HWY_INLINE void pack_quad(const std::uint16_t* numbers, std::uint8_t base, std::int64_t quad,
                          std::uint8_t* to, std::vector<std::uint32_t>& exceptions) {
    for (std::int64_t s = 0; s < slots; ++s) {
        Slot pair[2];
        for (std::int64_t p = 0; p < 2; ++p) {
            Slot& slot = pair[p];
            slot = slot_of(numbers + p * pair_numbers + s * 8, base);
            std::copy(slot.lower.begin(), slot.lower.end(), to + 64 + p * 64 + s * slot_bytes);
            for (std::uint32_t left = slot.exceptions; left != 0; left &= left - 1) {
                const auto i = static_cast<std::uint32_t>(__builtin_ctz(left));
                const auto place = static_cast<std::uint32_t>(p * 64 + s * slot_bytes) + i;
                exceptions.push_back(static_cast<std::uint32_t>(quad) << 16 | place << 8 | slot.upper[i]);
            }
        }
        for (std::size_t i = 0; i < slot_bytes; ++i) {
            to[s * slot_bytes + static_cast<std::int64_t>(i)] =
                static_cast<std::uint8_t>(pair[0].codes[i] | pair[1].codes[i] << 4);
        }
    }
}

std::uint8_t top_of(const std::uint16_t* numbers, std::int64_t count) {
    std::uint16_t largest = 0;
    for (std::int64_t i = 0; i < count; ++i) {
        largest = std::max<std::uint16_t>(largest, numbers[i] & 0x7fff);
    }
    return static_cast<std::uint8_t>(largest >> 8);
}

/// Pairs of inputs of one row: of float32 the upper halves, and the lower ones as tails.
struct RowPairs {
    std::uint32_t *upper, *tails;
};
void copy_row(DType type, const std::byte* row, std::int64_t pairs, const RowPairs& to) {
    const auto bytes = static_cast<std::size_t>(pairs) * 2 * dtype_size(type);
    if (type == DType::bf16) {
        std::memcpy(to.upper, row, bytes);
        return;
    }
    for (std::int64_t i = 0; i < pairs; ++i, row += 8) {
        std::uint32_t numbers[2];
        std::memcpy(numbers, row, sizeof numbers);
        to.upper[i] = numbers[0] >> 16 | (numbers[1] & 0xffff0000u);
        to.tails[i] = (numbers[0] & 0xffffu) | numbers[1] << 16;
    }
}

/// The rows of a group, pairs of inputs each, those that lack as zeros; then their tails if they have any.
class GroupCopy {
  public:
    GroupCopy(DType type, const std::byte* rows, std::int64_t count, std::int64_t inputs)
        : stride_(apart<std::uint32_t>(inputs / 2)), size_(interleave * stride_),
          memory_(std::make_unique_for_overwrite<std::uint32_t[]>(
              static_cast<std::size_t>(size_ * (type == DType::f32 ? 2 : 1)))) {
        const std::int64_t pairs = inputs / 2, row = inputs * static_cast<std::int64_t>(dtype_size(type));
        for (std::int64_t o = 0; o < count; ++o) {
            copy_row(type, rows + o * row, pairs,
                     {upper() + o * stride_, type == DType::f32 ? tails() + o * stride_ : nullptr});
        }
        for (std::int64_t o = count; o < interleave; ++o) {
            std::fill_n(upper() + o * stride_, pairs, 0u);
            if (type == DType::f32) {
                std::fill_n(tails() + o * stride_, pairs, 0u);
            }
        }
    }
    std::uint32_t* upper() const { return memory_.get(); }
    std::uint32_t* tails() const { return memory_.get() + size_; }
    std::int64_t stride() const { return stride_; }

  private:
    std::int64_t stride_, size_;
    std::unique_ptr<std::uint32_t[]> memory_;
};

/// Pairs [first, first + count), a block's, to the tails of its quads.
void put_tails(const GroupCopy& copy, std::int64_t first, std::int64_t count, std::uint8_t* quads) {
    alignas(64) std::uint32_t block[packed_block / 2 * interleave]; // [pairs][outputs]
    side_by_side(copy.tails(), copy.stride(), first, count, block);
    constexpr std::int64_t each = 2 * interleave; // of a quad
    for (std::int64_t q = 0; q < count / 2; ++q) {
        std::memcpy(quads + q * packed_quad_bytes(DType::f32) + packed_tails_at, block + q * each, each * 4);
    }
}

void PackGroupKernel(DType type, const std::byte* rows, std::int64_t count, std::int64_t inputs,
                     std::byte* to, std::vector<std::uint32_t>& exceptions) {
    const GroupCopy copy(type, rows, count, inputs);
    alignas(64) std::uint32_t block[packed_block / 2 * interleave]; // [pairs][outputs]
    const auto* const numbers = reinterpret_cast<const std::uint16_t*>(block);
    for (std::int64_t i = 0; i < inputs; i += packed_block, to += packed_block_bytes(type, packed_block)) {
        const std::int64_t some = std::min(packed_block, inputs - i);
        side_by_side(copy.upper(), copy.stride(), i / 2, some / 2, block);
        const std::uint8_t base = packed_base(numbers, some * interleave, top_of(numbers, some * interleave));
        const auto before = static_cast<std::uint32_t>(exceptions.size());
        auto* quads = reinterpret_cast<std::uint8_t*>(to) + packed_header_bytes;
        if (type == DType::f32) {
            put_tails(copy, i / 2, some / 2, quads);
        }
        for (std::int64_t q = 0; q < some / packed_quad; ++q, quads += packed_quad_bytes(type)) {
            pack_quad(numbers + q * 2 * pair_numbers, base, q, quads, exceptions);
        }
        write_header(to, base, before, static_cast<std::uint32_t>(exceptions.size()) - before);
    }
}

} // namespace HWY_NAMESPACE
} // namespace ergo::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ergo::cpu {

HWY_EXPORT(PackGroupKernel);

void pack_group(DType type, const std::byte* rows, std::int64_t count, std::int64_t inputs, std::byte* to,
                std::vector<std::uint32_t>& exceptions) {
    HWY_DYNAMIC_DISPATCH(PackGroupKernel)(type, rows, count, inputs, to, exceptions);
}

} // namespace ergo::cpu
#endif // HWY_ONCE
