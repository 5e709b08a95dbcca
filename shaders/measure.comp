// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// What a device can do, for shares of it (engine/backend/vulkan/device_peak.cpp): reads a buffer once, or multiplies and
// adds in registers. The sum is written only if it has a value that it never has, which no compiler knows.
#include "common.glsl"
layout(local_size_x = 128) in;

layout(constant_id = 0) const bool READS = true;

layout(push_constant) uniform Push {
    Header header; // not used
    Quads from;
    Floats to;
    uint quads;  // to read
    uint rounds; // of CHAINS multiply-adds of four
    float factor;
} push;

const uint CHAINS = 8; // multiply-adds under way at a time

float read_all() {
    const uint stride = gl_NumWorkGroups.x * gl_WorkGroupSize.x;
    vec4 sums[4] = vec4[4](vec4(0), vec4(0), vec4(0), vec4(0));
    uint i = gl_GlobalInvocationID.x;
    for (; i + 3 * stride < push.quads; i += 4 * stride) {
        [[unroll]] for (uint j = 0; j < 4; ++j) {
            sums[j] += push.from.at[i + j * stride];
        }
    }
    for (; i < push.quads; i += stride) {
        sums[0] += push.from.at[i];
    }
    return dot(sums[0] + sums[1] + sums[2] + sums[3], vec4(1));
}

float multiply_add() {
    vec4 chain[CHAINS];
    [[unroll]] for (uint c = 0; c < CHAINS; ++c) {
        chain[c] = vec4(gl_LocalInvocationIndex, c, 1, 2) * push.factor;
    }
    for (uint i = 0; i < push.rounds; ++i) {
        [[unroll]] for (uint c = 0; c < CHAINS; ++c) {
            chain[c] = fma(chain[c], vec4(push.factor), vec4(0.25));
        }
    }
    vec4 sum = vec4(0);
    [[unroll]] for (uint c = 0; c < CHAINS; ++c) {
        sum += chain[c];
    }
    return dot(sum, vec4(1));
}

void main() {
    const float sum = READS ? read_all() : multiply_add();
    if (sum == push.factor * 1e30) {
        push.to.at[0] = sum;
    }
}
