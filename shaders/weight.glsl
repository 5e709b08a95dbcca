// SPDX-License-Identifier: GPL-3.0-or-later
// Matrices in the type of the checkpoint, widened on reading. STORED is enum Stored in engine/backend/vulkan/weights.h.
layout(constant_id = 1) const uint STORED = 0; // 0: float32, 1: bfloat16, 2: IEEE half

// Element `i` of the flat matrix.
float weight_at(Words words, uint i) {
    if (STORED == 0) {
        return uintBitsToFloat(words.at[i]);
    }
    const uint pair = words.at[i >> 1];
    if (STORED == 1) {
        return uintBitsToFloat((i & 1) != 0 ? pair & 0xffff0000u : pair << 16);
    }
    const vec2 both = unpackHalf2x16(pair);
    return (i & 1) != 0 ? both.y : both.x;
}

// Elements 4 i .. 4 i + 3.
vec4 weight_quad(Words words, uint i) {
    if (STORED == 0) {
        return Quads(words).at[i];
    }
    const uvec2 pairs = WordPairs(words).at[i];
    if (STORED == 1) {
        return uintBitsToFloat(uvec4(pairs.x << 16, pairs.x & 0xffff0000u, pairs.y << 16, pairs.y & 0xffff0000u));
    }
    return vec4(unpackHalf2x16(pairs.x), unpackHalf2x16(pairs.y));
}
