// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// Norm: LayerNorm (biased variance) or RMSNorm of each head of a row. One workgroup a head; input and output may
// coincide.
#include "common.glsl"
#include "reduce.glsl"

layout(constant_id = 0) const bool RMS = false;
layout(constant_id = 1) const bool BIASED = false;

layout(push_constant) uniform Push {
    Header header;
    Floats from;
    Floats to;
    Floats weight;
    Floats bias;
    uint width; // of a head
    float eps;
} push;

void main() {
    const uint r = gl_WorkGroupID.y;
    if (r >= row_count(push.header) || !needed(push.header, r)) {
        return;
    }
    note_use(push.header);
    const uint heads = gl_NumWorkGroups.x, head = gl_WorkGroupID.x;
    const uint from = (row_in(push.header, r, 1) * heads + head) * push.width;
    const uint to = (row_in(push.header, r, 0) * heads + head) * push.width;
    float mean = 0;
    if (!RMS) {
        float sum = 0;
        for (uint c = gl_LocalInvocationID.x; c < push.width; c += GROUP) {
            sum += push.from.at[from + c];
        }
        mean = sum_over_group(vec4(sum)).x / push.width;
    }
    float squares = 0;
    for (uint c = gl_LocalInvocationID.x; c < push.width; c += GROUP) {
        const float x = push.from.at[from + c] - mean;
        squares += x * x;
    }
    const float inverse = 1 / sqrt(sum_over_group(vec4(squares)).x / push.width + push.eps);
    for (uint c = gl_LocalInvocationID.x; c < push.width; c += GROUP) {
        const float y = (push.from.at[from + c] - mean) * inverse * push.weight.at[c];
        push.to.at[to + c] = BIASED ? y + push.bias.at[c] : y;
    }
}
