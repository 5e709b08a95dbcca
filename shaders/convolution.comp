// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// Convolution: causal depthwise filter over the remembered inputs (MoA specification §6.4). One invocation an element.
#include "common.glsl"
#include "activation.glsl"
layout(local_size_x = 64) in;

layout(constant_id = 0) const uint ACTIVATION = 0;
layout(constant_id = 1) const bool BIASED = false;

layout(push_constant) uniform Push {
    Header header;
    Floats history; // [positions, width]
    Floats weight;  // [width, taps]
    Floats bias;    // [width]
    Floats to;      // [rows, width]
    uint width;
    uint taps;
} push;

void main() {
    const uint r = gl_WorkGroupID.y;
    const uint c = gl_GlobalInvocationID.x;
    if (r >= row_count(push.header) || c >= push.width || !needed(push.header, r)) {
        return;
    }
    note_use(push.header);
    const uint t = position_of(push.header, r);
    float sum = BIASED ? push.bias.at[c] : 0;
    // Tap taps - 1 is the current token; taps before position 0 read zeros.
    for (uint i = t + 1 >= push.taps ? 0 : push.taps - 1 - t; i < push.taps; ++i) {
        sum += push.weight.at[c * push.taps + i] * push.history.at[(t + i + 1 - push.taps) * push.width + c];
    }
    push.to.at[row_in(push.header, r, 0) * push.width + c] = activate(ACTIVATION, sum);
}
