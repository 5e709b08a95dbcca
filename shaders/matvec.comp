// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// Linear for few rows: one subgroup an output, whatever the subgroup's size. Bound by reading the matrix.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "linear.glsl"
layout(local_size_x = 128) in;

layout(constant_id = 4) const bool QUADS = false; // inputs is a multiple of 4

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
        float sum = 0;
        if (QUADS) {
            vec4 sums = vec4(0);
            const uint quads = push.inputs / 4;
            for (uint k = lane; k < quads; k += lanes) {
                sums += Quads(push.from).at[from / 4 + k] * weight_quad(push.weight, o * quads + k);
            }
            sum = (sums.x + sums.y) + (sums.z + sums.w);
        } else {
            for (uint k = lane; k < push.inputs; k += lanes) {
                sum += push.from.at[from + k] * weight_at(push.weight, o * push.inputs + k);
            }
        }
        sum = subgroupAdd(sum);
        if (lane == 0) {
            store(r, o, sum);
        }
    }
}
