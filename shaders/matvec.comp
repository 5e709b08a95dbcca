// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// Linear for few rows: one subgroup an output, whatever the subgroup's size. Bound by reading the matrix.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "linear.glsl"
layout(local_size_x = 128) in;

// Inputs 4 q .. 4 q + 3 of the row that begins at `from`, 0 behind the last.
vec4 input_quad(uint from, uint q) {
    if (QUADS) {
        return 4 * q < push.inputs ? Quads(push.from).at[from / 4 + q] : vec4(0);
    }
    vec4 x = vec4(0);
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        if (4 * q + i < push.inputs) {
            x[i] = push.from.at[from + 4 * q + i];
        }
    }
    return x;
}

// This lane's share of row `o` in whole numbers. Lanes take two words each: 8 (q8) or 16 (q4) inputs of a group.
float grouped_share(uint o, uint from, uint lane, uint lanes) {
    Matrix m = matrix();
    const uint pairs = groups_a_row(m) * (GROUP_WORDS / 2);
    float sum = 0;
    for (uint p = lane; p < pairs; p += lanes) {
        const uvec2 words = WordPairs(push.weight).at[o * pairs + p];
        const uint g = p / (GROUP_WORDS / 2), s = p % (GROUP_WORDS / 2) * 2;
        const vec2 scale = group_scale(m, o, g);
        const vec4 a = input_quad(from, g * 8 + s), b = input_quad(from, g * 8 + s + 1);
        if (STORED == 3) {
            sum += scale.x * (dot(a, signed_bytes(words.x)) + dot(b, signed_bytes(words.y)));
            continue;
        }
        const vec4 c = input_quad(from, g * 8 + s + 4), d = input_quad(from, g * 8 + s + 5);
        sum += scale.x * (dot(a, low_nibbles(words.x)) + dot(b, low_nibbles(words.y)) +
                          dot(c, low_nibbles(words.x >> 4)) + dot(d, low_nibbles(words.y >> 4)));
        sum += scale.y * dot(a + b + c + d, vec4(1));
    }
    return sum;
}

float float_share(uint o, uint from, uint lane, uint lanes) {
    Matrix m = matrix();
    if (QUADS) {
        vec4 sums = vec4(0);
        for (uint k = lane; k < push.inputs / 4; k += lanes) {
            sums += Quads(push.from).at[from / 4 + k] * weight_quad(m, o, k);
        }
        return (sums.x + sums.y) + (sums.z + sums.w);
    }
    float sum = 0;
    for (uint k = lane; k < push.inputs; k += lanes) {
        sum += push.from.at[from + k] * weight_at(m, o, k);
    }
    return sum;
}

void main() {
    const uint r = gl_WorkGroupID.y;
    if (r >= row_count(push.header) || !needed(push.header, r)) {
        return;
    }
    note_use(push.header);
    const uvec4 active_lanes = subgroupBallot(true);
    const uint lanes = subgroupBallotBitCount(active_lanes);
    const uint lane = subgroupBallotExclusiveBitCount(active_lanes);
    const uint from = row_in(push.header, r, 1) * push.inputs;
    const uint stride = gl_NumWorkGroups.x * gl_NumSubgroups;
    for (uint o = gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID; o < push.outputs; o += stride) {
        const float share = GROUPED ? grouped_share(o, from, lane, lanes) : float_share(o, from, lane, lanes);
        const float sum = subgroupAdd(share);
        if (lane == 0) {
            store(r, o, sum);
        }
    }
}
