// SPDX-License-Identifier: GPL-3.0-or-later
// Matrices as they lie in memory, widened on reading. STORED is enum Stored in engine/backend/vulkan/weights.h.
//
// Whole numbers (engine/tensor/grouped.h) lie in groups of 32 inputs, a row's groups one after the other, the last one
// filled up with 0; behind all rows follow their scales (engine/backend/vulkan/grouped_layout.h):
//     q8: a group is 8 words of 4 bytes; its scale is a 16-bit float
//     q4: a group is 4 words; the low halves of the bytes of word w are inputs 4 w .. 4 w + 3, the high halves
//         16 + 4 w .. 16 + 4 w + 3; its scale and its minimum are one word
layout(constant_id = 1) const uint STORED = 0; // 0: float32, 1: bfloat16, 2: IEEE half, 3: q8, 4: q4

const bool GROUPED = STORED >= 3;
const uint GROUP_INPUTS = 32;
const uint GROUP_WORDS = STORED == 3 ? 8 : 4;

struct Matrix {
    Words words;
    uint rows;
    uint inputs;
};

uint groups_a_row(Matrix m) { return (m.inputs + GROUP_INPUTS - 1) / GROUP_INPUTS; }

// A 16-bit float, subnormal ones too, which unpackHalf2x16 may flush to 0.
float half_of(uint bits) {
    const uint mantissa = bits & 0x3ffu;
    if ((bits & 0x7c00u) == 0) {
        const float small = float(mantissa) * 5.9604644775390625e-8; // 2^-24
        return (bits & 0x8000u) != 0 ? -small : small;
    }
    return unpackHalf2x16(bits).x;
}

// Scale and minimum of group `g` of row `o`.
vec2 group_scale(Matrix m, uint o, uint g) {
    const uint at = o * groups_a_row(m) + g, behind = m.rows * groups_a_row(m) * GROUP_WORDS;
    if (STORED == 3) {
        const uint pair = m.words.at[behind + at / 2];
        return vec2(half_of((at & 1) != 0 ? pair >> 16 : pair & 0xffffu), 0);
    }
    const uint pair = m.words.at[behind + at];
    return vec2(half_of(pair & 0xffffu), half_of(pair >> 16));
}

vec4 signed_bytes(uint word) {
    const int w = int(word);
    return vec4(bitfieldExtract(w, 0, 8), bitfieldExtract(w, 8, 8), bitfieldExtract(w, 16, 8), w >> 24);
}

// The low halves of a word's bytes.
vec4 low_nibbles(uint word) { return vec4(uvec4(word, word >> 8, word >> 16, word >> 24) & 15u); }

// Columns 4 q .. 4 q + 3 of row `o`; what lies behind the last column is anything finite. Rows of floats must have a
// multiple of 4 columns.
vec4 weight_quad(Matrix m, uint o, uint q) {
    if (GROUPED) {
        const uint g = q / 8, s = q % 8;
        const vec2 scale = group_scale(m, o, g);
        const uint group = (o * groups_a_row(m) + g) * GROUP_WORDS;
        if (STORED == 3) {
            return scale.x * signed_bytes(m.words.at[group + s]);
        }
        return scale.x * low_nibbles(m.words.at[group + s % 4] >> (s / 4 * 4)) + scale.y;
    }
    const uint i = o * (m.inputs / 4) + q;
    if (STORED == 0) {
        return Quads(m.words).at[i];
    }
    const uvec2 pairs = WordPairs(m.words).at[i];
    if (STORED == 1) {
        return uintBitsToFloat(uvec4(pairs.x << 16, pairs.x & 0xffff0000u, pairs.y << 16, pairs.y & 0xffff0000u));
    }
    return vec4(unpackHalf2x16(pairs.x), unpackHalf2x16(pairs.y));
}

// Column `k` of row `o`.
float weight_at(Matrix m, uint o, uint k) {
    if (GROUPED) {
        return weight_quad(m, o, k / 4)[k % 4];
    }
    const uint i = o * m.inputs + k;
    if (STORED == 0) {
        return uintBitsToFloat(m.words.at[i]);
    }
    const uint pair = m.words.at[i >> 1];
    if (STORED == 1) {
        return uintBitsToFloat((i & 1) != 0 ? pair & 0xffff0000u : pair << 16);
    }
    const vec2 both = unpackHalf2x16(pair);
    return (i & 1) != 0 ? both.y : both.x;
}
