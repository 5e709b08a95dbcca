// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// matmul_coop.comp without the extension, for tests of everything around it: SUBGROUP invocations hold a fragment of sums
// together, inputs and weights stay in shared memory and are read from there. Slow.
#include "linear.glsl"
layout(local_size_x = 128) in;
layout(constant_id = 16) const bool WRONG = false; // on purpose

#define Pair uint
Pair pair_of(vec2 v) { return packHalf2x16(v); }
vec2 floats_of(Pair p) { return unpackHalf2x16(p); }

#include "matmul_fragments.glsl"

#define Inputs uint  // where its first pair is
#define Weights uint
struct Sums {
    float at[8]; // [row][column], every SUBGROUP-th of them: ELEMENTS, at most 8
};

uint own_subgroup() { return gl_LocalInvocationIndex / SUBGROUP; }
uint own_lane() { return gl_LocalInvocationIndex % SUBGROUP; }

Sums no_sums() {
    Sums none;
    for (uint e = 0; e < ELEMENTS; ++e) {
        none.at[e] = 0;
    }
    return none;
}

Inputs load_inputs(uint at) { return at; }
Weights load_weights(uint at) { return at; }

Sums multiply_add(Inputs x, Weights w, Sums sums) {
    for (uint e = 0; e < ELEMENTS; ++e) {
        const uint i = e * SUBGROUP + own_lane(), row = i / FRAGMENT_COLUMNS, column = i % FRAGMENT_COLUMNS;
        const uint x_row = x + row * STRIDE, w_row = w + (WRONG ? column ^ 1u : column) * STRIDE;
        float sum = sums.at[e];
        for (uint p = 0; p < FRAGMENT_DEPTH / 2; ++p) {
            const vec2 a = floats_of(x_tile[x_row + p]), b = floats_of(w_tile[w_row + p]);
            sum += a.x * b.x;
            sum += a.y * b.y;
        }
        sums.at[e] = sum;
    }
    return sums;
}

Sums add_scaled(Sums sums, Sums others, float scale) {
    for (uint e = 0; e < ELEMENTS; ++e) {
        sums.at[e] += others.at[e] * scale;
    }
    return sums;
}

void store_sums(Sums sums, uint at) {
    for (uint e = 0; e < ELEMENTS; ++e) {
        sum_tile[at + e * SUBGROUP + own_lane()] = sums.at[e];
    }
}

#include "matmul_tiles.glsl"
