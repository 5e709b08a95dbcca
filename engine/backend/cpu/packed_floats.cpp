// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/cpu/packed_floats.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

namespace ergo::cpu {

namespace {

constexpr std::int64_t first_at = 4, count_at = 8; // in a header

std::uint32_t number_at(const std::byte* at) {
    std::uint32_t number = 0;
    std::memcpy(&number, at, sizeof number);
    return number;
}

} // namespace

PackedBlock::PackedBlock(const std::byte* block, const std::uint32_t* list)
    : quads(reinterpret_cast<const std::uint8_t*>(block + packed_header_bytes)),
      exceptions(list + number_at(block + first_at)), last(exceptions + number_at(block + count_at)),
      base(std::to_integer<std::uint8_t>(*block)) {}

PackedBlock packed_block_at(const LinearArgs& args, std::int64_t output, std::int64_t input) {
    return {static_cast<const std::byte*>(args.weight) +
                output / interleave * packed_group_bytes(args.type, args.inputs) +
                packed_offset(args.type, input),
            args.exceptions};
}

std::uint8_t packed_base(const std::uint16_t* numbers, std::int64_t count, std::uint8_t top) {
    constexpr std::size_t exponents = 128, bases = exponents - packed_codes;
    constexpr std::int64_t step = 13; // a sample is enough, of all inputs and outputs
    std::array<std::int32_t, exponents> seen{};
    for (std::int64_t i = 0; i < count; i += step) {
        ++seen[numbers[i] >> 8 & 0x7f];
    }
    std::array<std::int32_t, bases> told{}; // how many each base has a code for, but for upper exponents of 0
    for (std::size_t base = 0; base < bases; ++base) {
        for (std::size_t code = 1; code <= packed_codes; ++code) {
            told[base] += seen[base + code];
        }
    }
    // Rather the largest numbers than as many small ones that the sample has not met; but some large ones
    // are better exceptions than most of the others.
    const std::size_t usual = top > packed_codes ? top - packed_codes : 0;
    const auto best = static_cast<std::size_t>(std::max_element(told.begin(), told.end()) - told.begin());
    return static_cast<std::uint8_t>(told[usual] * 128 >= told[best] * 127 ? usual : best);
}

void write_header(std::byte* block, std::uint8_t base, std::uint32_t first, std::uint32_t count) {
    std::memset(block, 0, packed_header_bytes);
    std::memcpy(block, &base, sizeof base);
    std::memcpy(block + first_at, &first, sizeof first);
    std::memcpy(block + count_at, &count, sizeof count);
}

void move_exceptions(DType type, std::byte* group, std::int64_t inputs, std::uint32_t by) {
    for (std::int64_t i = 0; i < inputs; i += packed_block) {
        std::byte* const at = group + packed_offset(type, i) + first_at;
        const std::uint32_t first = number_at(at) + by;
        std::memcpy(at, &first, sizeof first);
    }
}

void read_packed_row(DType type, const std::byte* data, const std::uint32_t* exceptions, std::int64_t row,
                     std::int64_t inputs, float* out) {
    const std::byte* const group = data + row / interleave * packed_group_bytes(type, inputs);
    std::array<std::uint8_t, packed_block> upper{};
    for (std::int64_t first = 0; first < inputs; first += packed_block) {
        const PackedBlock block(group + packed_offset(type, first), exceptions);
        const std::int64_t count = std::min(packed_block, inputs - first);
        for (std::int64_t i = 0; i < count; ++i) {
            const std::int64_t place = packed_place(row, i);
            const int codes = block.quads[i / packed_quad * packed_quad_bytes(type) + place % 64];
            upper[static_cast<std::size_t>(i)] = upper_of_code(codes >> place / 64 * 4, block.base);
        }
        for (const std::uint32_t* each = block.exceptions; each < block.last; ++each) {
            const PackedSpot spot = packed_spot(*each);
            if (spot.output == row % interleave) {
                upper[static_cast<std::size_t>(spot.input)] = static_cast<std::uint8_t>(*each);
            }
        }
        for (std::int64_t i = 0; i < count; ++i) {
            const std::uint8_t* const quad = block.quads + i / packed_quad * packed_quad_bytes(type);
            std::uint16_t tail = 0;
            if (type == DType::f32) {
                std::memcpy(&tail, quad + packed_tails_at + packed_tail(row, i) * 2, sizeof tail);
            }
            out[first + i] =
                std::bit_cast<float>(std::uint32_t{upper[static_cast<std::size_t>(i)]} << 24 |
                                     std::uint32_t{quad[64 + packed_place(row, i)]} << 16 | tail);
        }
    }
}

} // namespace ergo::cpu
