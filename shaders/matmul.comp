// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// Products for the rows of a prompt: a workgroup computes ROWS x OUTPUTS values from tiles in shared memory, an
// invocation 4 x 4 of them.
#include "linear.glsl"
layout(local_size_x = 16, local_size_y = 8) in;

const uint ROWS = 32, OUTPUTS = 64, DEPTH = 16, THREADS = 128;
shared float x_tile[DEPTH][ROWS + 1];
// The odd stride spreads the columns over the banks. The second tile is that of a gate's second product.
shared float w_tile[WITH == 2 ? 2 : 1][DEPTH][OUTPUTS + 1];

bool tile_needed(uint first, uint count) {
    for (uint r = first; r < min(first + ROWS, count); ++r) {
        if (needed(push.header, r)) {
            return true;
        }
    }
    return false;
}

void load_inputs(uint first_row, uint first_k, uint count) {
    if (QUADS) { // four columns at a time
        for (uint i = gl_LocalInvocationIndex; i < ROWS * DEPTH / 4; i += THREADS) {
            const uint r = first_row + i / (DEPTH / 4), column = i % (DEPTH / 4) * 4, k = first_k + column;
            const bool inside = r < count && k < push.inputs;
            const vec4 x = inside ? Quads(push.from).at[(row_in(push.header, r, 1) * push.inputs + k) / 4] : vec4(0);
            [[unroll]] for (uint j = 0; j < 4; ++j) {
                x_tile[column + j][i / (DEPTH / 4)] = x[j];
            }
        }
    } else {
        for (uint i = gl_LocalInvocationIndex; i < ROWS * DEPTH; i += THREADS) {
            const uint r = first_row + i / DEPTH, k = first_k + i % DEPTH;
            const bool inside = r < count && k < push.inputs;
            x_tile[i % DEPTH][i / DEPTH] = inside ? push.from.at[row_in(push.header, r, 1) * push.inputs + k] : 0;
        }
    }
}

void load_weights(Words words, uint tile, uint first_output, uint first_k) {
    Matrix m = matrix_at(words, push.outputs);
    if (QUADS || GROUPED) { // behind the last column x is 0 and groups are finite
        for (uint i = gl_LocalInvocationIndex; i < OUTPUTS * DEPTH / 4; i += THREADS) {
            const uint o = first_output + i / (DEPTH / 4), column = i % (DEPTH / 4) * 4, k = first_k + column;
            const vec4 w = o < push.outputs && k < push.inputs ? weight_quad(m, o, k / 4) : vec4(0);
            [[unroll]] for (uint j = 0; j < 4; ++j) {
                w_tile[tile][column + j][i / (DEPTH / 4)] = w[j];
            }
        }
    } else {
        for (uint i = gl_LocalInvocationIndex; i < OUTPUTS * DEPTH; i += THREADS) {
            const uint o = first_output + i / DEPTH, k = first_k + i % DEPTH;
            const bool inside = o < push.outputs && k < push.inputs;
            w_tile[tile][i % DEPTH][i / DEPTH] = inside ? weight_at(m, o, k) : 0;
        }
    }
}

vec4 weights_of(uint tile, uint k, uint tx) {
    return vec4(w_tile[tile][k][tx], w_tile[tile][k][tx + 16], w_tile[tile][k][tx + 32], w_tile[tile][k][tx + 48]);
}

void main() {
    const uint count = row_count(push.header);
    const uint first_row = gl_WorkGroupID.y * ROWS, first_output = gl_WorkGroupID.x * OUTPUTS;
    if (first_row >= count || !tile_needed(first_row, count)) {
        return;
    }
    note_use(push.header);
    const uint tx = gl_LocalInvocationID.x, ty = gl_LocalInvocationID.y;
    vec4 sums[4] = vec4[4](vec4(0), vec4(0), vec4(0), vec4(0)), second[4] = sums; // [row][output]
    for (uint first_k = 0; first_k < push.inputs; first_k += DEPTH) {
        load_inputs(first_row, first_k, count);
        load_weights(push.weight, 0, first_output, first_k);
        if (WITH == 2) {
            load_weights(Words(push.other), 1, first_output, first_k);
        }
        barrier();
        [[unroll]] for (uint k = 0; k < DEPTH; ++k) {
            const vec4 w = weights_of(0, k, tx);
            [[unroll]] for (uint i = 0; i < 4; ++i) {
                sums[i] += x_tile[k][ty + 8 * i] * w;
            }
            if (WITH == 2) {
                const vec4 v = weights_of(1, k, tx);
                [[unroll]] for (uint i = 0; i < 4; ++i) {
                    second[i] += x_tile[k][ty + 8 * i] * v;
                }
            }
        }
        barrier();
    }
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        const uint r = first_row + ty + 8 * i;
        if (r >= count) {
            continue;
        }
        [[unroll]] for (uint j = 0; j < 4; ++j) {
            const uint o = first_output + tx + 16 * j;
            if (o < push.outputs) {
                store(r, o, sums[i][j], second[i][j]);
            }
        }
    }
}
