// SPDX-License-Identifier: GPL-3.0-or-later
// How the CPU kernels keep matrices in bf16 and float32 in fewer bits, 12 and 28, without losing one. The
// upper byte of either is the sign and seven bits of the exponent; of neighbouring weights nearly all have
// one of few of these, so that 4 bits tell which. The other bytes stay what they are, and what has another
// upper byte is an exception that a list gives. Pure functions, any thread.
//
// 32 outputs lie side by side; what lacks in the last group is 0. Groups follow one another, and in each its
// blocks of 256 inputs (the last may have fewer, but a multiple of 4), so that a token reads a single stream.
// A block is
//
//     header [64]: at 0 the base, a byte; at 4 where its exceptions begin in the list, at 8 how many they are
//     for every 4 inputs (a quad): codes [64], second bytes of inputs 0 and 1 [64], of inputs 2 and 3 [64];
//         of float32 also tails, the lower halves: [2][32][2] of 16 bits, at [input / 2][output][input % 2]
//
// Second bytes are at [outputs / 4 % 4][outputs / 16][outputs % 4][input % 2], and so are the codes, of
// inputs 0 and 1 in the low halves and of inputs 2 and 3 in the high halves of their bytes: interleaving a
// vector of second bytes with one of upper bytes gives pairs of inputs, of outputs in order. The highest bit
// of a code is the sign, the others are 0 for an upper exponent of 0 or say how far it is above the base, 1
// to 7. An exception is its place in the quad's second bytes, from bit 8 on, its upper byte below, and the
// quad of the block above from bit 16 on; they are in order of the quads.
#pragma once

#include "engine/backend/cpu/kernels.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ergo::cpu {

inline constexpr std::int64_t packed_block = 256, packed_quad = 4;             // inputs
inline constexpr std::int64_t packed_header_bytes = 64, packed_tails_at = 192; // of a block, in a quad
inline constexpr int packed_codes = 7;                                         // of an exponent that is not 0

inline constexpr bool can_be_packed(std::int64_t inputs) {
    return inputs % packed_quad == 0;
}
inline constexpr bool is_packed_type(DType type) {
    return type == DType::bf16 || type == DType::f32;
}
inline constexpr std::int64_t packed_quad_bytes(DType type) {
    return packed_tails_at + (type == DType::f32 ? packed_quad * interleave * 2 : 0);
}
inline constexpr std::int64_t packed_block_bytes(DType type, std::int64_t inputs) {
    return packed_header_bytes + inputs / packed_quad * packed_quad_bytes(type);
}
/// Of the blocks in front of input `input`, the first of one.
inline constexpr std::int64_t packed_offset(DType type, std::int64_t input) {
    return input / packed_block * packed_block_bytes(type, packed_block);
}
inline constexpr std::int64_t packed_group_bytes(DType type, std::int64_t inputs) {
    return packed_offset(type, inputs) +
           (inputs % packed_block ? packed_block_bytes(type, inputs % packed_block) : 0);
}
inline constexpr std::int64_t packed_groups(std::int64_t outputs) {
    return (outputs + interleave - 1) / interleave;
}
/// Bytes of a matrix, without its exceptions.
inline constexpr std::int64_t packed_bytes(DType type, std::int64_t outputs, std::int64_t inputs) {
    return packed_groups(outputs) * packed_group_bytes(type, inputs);
}

/// Where a number is among the second bytes of its quad.
inline constexpr std::int64_t packed_place(std::int64_t output, std::int64_t input) {
    return input % packed_quad / 2 * 64 + output / 4 % 4 * 16 + output % interleave / 16 * 8 +
           output % 4 * 2 + input % 2;
}

/// Where a number of float32 is in its quad's tails, a place for 16 bits each.
inline constexpr std::int64_t packed_tail(std::int64_t output, std::int64_t input) {
    return (input % packed_quad / 2 * interleave + output % interleave) * 2 + input % 2;
}

/// The upper byte that a code stands for, whatever is above its 4 bits.
inline constexpr std::uint8_t upper_of_code(int code, std::uint8_t base) {
    return static_cast<std::uint8_t>((code & 8) << 4 | (code & 7 ? base + (code & 7) : 0));
}
/// Which number of its block an exception is.
struct PackedSpot {
    std::int64_t output, input;
};
inline constexpr PackedSpot packed_spot(std::uint32_t exception) {
    const std::int64_t quad = exception >> 16, place = exception >> 8 & 0xff;
    return {place / 8 % 2 * 16 + place / 16 % 4 * 4 + place / 2 % 4,
            quad * packed_quad + place / 64 * 2 + place % 2};
}

/// A block as it lies.
struct PackedBlock {
    PackedBlock(const std::byte* block, const std::uint32_t* exceptions);

    const std::uint8_t* quads;              // [inputs / 4, packed_quad_bytes]
    const std::uint32_t *exceptions, *last; // its own
    std::uint8_t base;
};
/// The block of input `input`, the first of one, of outputs from `output` on, the first of a group.
PackedBlock packed_block_at(const LinearArgs& args, std::int64_t output, std::int64_t input);

/// The base that leaves few exceptions, of numbers (their upper 16 bits) the largest of which has the upper
/// exponent `top`.
std::uint8_t packed_base(const std::uint16_t* numbers, std::int64_t count, std::uint8_t top);

void write_header(std::byte* block, std::uint8_t base, std::uint32_t first, std::uint32_t count);

/// Packs `count` rows of a packed type, at most 32, one after the other at `rows`, however aligned; adds
/// their exceptions to those of the groups before, from whose first on headers count. `to`:
/// packed_group_bytes.
void pack_group(DType type, const std::byte* rows, std::int64_t count, std::int64_t inputs, std::byte* to,
                std::vector<std::uint32_t>& exceptions);
/// Exceptions of a group begin that much later in a list that others were put in front of.
void move_exceptions(DType type, std::byte* group, std::int64_t inputs, std::uint32_t by);

/// One output of a packed matrix: what an embedding looks up. out: [inputs].
void read_packed_row(DType type, const std::byte* data, const std::uint32_t* exceptions, std::int64_t row,
                     std::int64_t inputs, float* out);

} // namespace ergo::cpu
