// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// Products for the rows of a prompt with weights in whole numbers, where the plan lets inputs be rounded to 8 bits: four
// products of 8-bit numbers at a time, by the device's own instruction. As matmul.comp, a group of 32 inputs at a time;
// inputs are rounded as engine/backend/reference/grouped.h says, a group's sum is exact.
#extension GL_EXT_spirv_intrinsics : require
#include "linear.glsl"
layout(local_size_x = 16, local_size_y = 8) in;

// OpSDot of SPV_KHR_integer_dot_product (capabilities DotProduct, DotProductInput4x8BitPacked), which glslc has no word
// for; format 0 is PackedVectorFormat4x8Bit.
spirv_instruction(extensions = ["SPV_KHR_integer_dot_product"], capabilities = [6019, 6018], id = 4450)
int signed_dot(uint a, uint b, spirv_literal int format);

const uint ROWS = 32, OUTPUTS = 64, WORDS = 8, THREADS = 128;
const uint HELPERS = THREADS / ROWS; // invocations that round one row's group, 8 inputs each
const float LEAST_MAGNITUDE = 1e-30;

const uint TILES = WITH == 2 ? 2 : 1; // the second is that of a gate's second product
shared uint x_tile[WORDS][ROWS + 1];
shared float x_scale[ROWS], x_largest[ROWS][HELPERS];
shared int x_sum[ROWS][HELPERS]; // of the rounded numbers, for q4's minimum
shared uint w_tile[TILES][WORDS][OUTPUTS + 1];
shared vec2 w_scale[TILES][OUTPUTS];

bool tile_needed(uint first, uint count) {
    for (uint r = first; r < min(first + ROWS, count); ++r) {
        if (needed(push.header, r)) {
            return true;
        }
    }
    return false;
}

// Inputs k .. k + 7 of the op's row `r`, 0 behind the last.
void inputs_of(uint r, uint k, uint count, out vec4 x[2]) {
    x[0] = x[1] = vec4(0);
    if (r >= count) {
        return;
    }
    const uint from = row_in(push.header, r, 1) * push.inputs;
    [[unroll]] for (uint half_of_them = 0; half_of_them < 2; ++half_of_them) {
        const uint first = k + 4 * half_of_them;
        if (QUADS) {
            if (first < push.inputs) {
                x[half_of_them] = Quads(push.from).at[(from + first) / 4];
            }
        } else {
            [[unroll]] for (uint i = 0; i < 4; ++i) {
                if (first + i < push.inputs) {
                    x[half_of_them][i] = push.from.at[from + first + i];
                }
            }
        }
    }
}

bool finite(vec4 x) { return all(notEqual(floatBitsToUint(x) & 0x7f800000u, uvec4(0x7f800000u))); }

uint packed(ivec4 n) {
    const uvec4 bytes = uvec4(n) & 0xffu;
    return bytes.x | bytes.y << 8 | bytes.z << 16 | bytes.w << 24;
}

int sum_of(ivec4 n) { return (n.x + n.y) + (n.z + n.w); }

// A group of all rows, rounded; an infinite largest stands for numbers that are not finite.
void load_inputs(uint first_row, uint group, uint count) {
    const uint row = gl_LocalInvocationIndex / HELPERS, helper = gl_LocalInvocationIndex % HELPERS;
    vec4 x[2];
    inputs_of(first_row + row, 32 * group + 8 * helper, count, x);
    const vec4 most = max(abs(x[0]), abs(x[1]));
    const float own = max(max(most.x, most.y), max(most.z, most.w));
    x_largest[row][helper] = finite(x[0]) && finite(x[1]) ? own : INFINITY;
    barrier();
    float largest = x_largest[row][0];
    [[unroll]] for (uint i = 1; i < HELPERS; ++i) {
        largest = max(largest, x_largest[row][i]);
    }
    const bool none = largest < LEAST_MAGNITUDE || largest == INFINITY;
    const float inverse = none ? 0 : 127 / largest;
    const ivec4 low = none ? ivec4(0) : ivec4(roundEven(x[0] * inverse));
    const ivec4 high = none ? ivec4(0) : ivec4(roundEven(x[1] * inverse));
    x_tile[2 * helper][row] = packed(low);
    x_tile[2 * helper + 1][row] = packed(high);
    x_sum[row][helper] = sum_of(low) + sum_of(high);
    if (helper == 0) {
        x_scale[row] = largest == INFINITY ? uintBitsToFloat(0x7fc00000u) : none ? 0 : largest * (1.0 / 127.0);
    }
}

// A group of all outputs.
void load_weights(Words words, uint tile, uint first_output, uint group) {
    Matrix m = matrix_at(words, push.outputs);
    for (uint i = gl_LocalInvocationIndex; i < OUTPUTS * WORDS; i += THREADS) {
        const uint o = first_output + i / WORDS, w = i % WORDS;
        uint word = 0;
        if (o < push.outputs) {
            const uint begin = (o * groups_a_row(m) + group) * GROUP_WORDS;
            word = STORED == 3 ? m.words.at[begin + w] : m.words.at[begin + w % 4] >> (w / 4 * 4) & 0x0f0f0f0fu;
        }
        w_tile[tile][w][i / WORDS] = word;
    }
    if (gl_LocalInvocationIndex < OUTPUTS) {
        const uint o = first_output + gl_LocalInvocationIndex;
        w_scale[tile][gl_LocalInvocationIndex] = o < push.outputs ? group_scale(m, o, group) : vec2(0);
    }
}

// Adds a group's products of the invocation's 4 x 4 outputs: rows ty + 8 i, columns tx + 16 j.
void add_group(uint tile, uint tx, uint ty, inout vec4 sums[4]) {
    ivec4 whole[4] = ivec4[4](ivec4(0), ivec4(0), ivec4(0), ivec4(0));
    for (uint w = 0; w < WORDS; ++w) {
        uint columns[4];
        [[unroll]] for (uint j = 0; j < 4; ++j) {
            columns[j] = w_tile[tile][w][tx + 16 * j];
        }
        [[unroll]] for (uint i = 0; i < 4; ++i) {
            const uint x = x_tile[w][ty + 8 * i];
            [[unroll]] for (uint j = 0; j < 4; ++j) {
                whole[i][j] += signed_dot(x, columns[j], 0);
            }
        }
    }
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        const uint row = ty + 8 * i;
        const float scale = x_scale[row];
        float all = 0;
        if (STORED == 4) {
            int sum = 0;
            [[unroll]] for (uint h = 0; h < HELPERS; ++h) {
                sum += x_sum[row][h];
            }
            all = scale * float(sum);
        }
        [[unroll]] for (uint j = 0; j < 4; ++j) {
            const vec2 w = w_scale[tile][tx + 16 * j];
            sums[i][j] += float(whole[i][j]) * (w.x * scale);
            if (STORED == 4) {
                sums[i][j] += w.y * all;
            }
        }
    }
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
    const uint groups = (push.inputs + GROUP_INPUTS - 1) / GROUP_INPUTS;
    for (uint g = 0; g < groups; ++g) {
        load_inputs(first_row, g, count);
        load_weights(push.weight, 0, first_output, g);
        if (WITH == 2) {
            load_weights(Words(push.other), 1, first_output, g);
        }
        barrier();
        add_group(0, tx, ty, sums);
        if (WITH == 2) {
            add_group(1, tx, ty, second);
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
