// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// Mix: out = residual + sum_p share_p * (g_p * ls_p * y_p), g_p = 2 sigmoid(gate_p). Parts with share 0 are not read:
// they may hold anything. One invocation an element; the output may be the residual's buffer. Where a norm of the
// output follows, one workgroup a row, which computes it as well.
#include "common.glsl"
#include "activation.glsl"
#include "reduce.glsl"

layout(constant_id = 0) const uint PARTS = 4;
layout(constant_id = 1) const bool SHARED_OUT = true;  // shares given
layout(constant_id = 2) const uint GATE = 0;           // 0: none, 1: a buffer, 2: a constant
layout(constant_id = 3) const bool GATE_WIDE = true;   // a gate a column, else a gate a part
layout(constant_id = 4) const uint SCALE = 0;          // 0: none, 1: [parts, width], 2: [width]
layout(constant_id = 5) const bool RESIDUAL = true;
layout(constant_id = 6) const uint NORM = 0;           // 0: none, 1: RMSNorm, 2: LayerNorm
layout(constant_id = 7) const bool NORM_BIASED = false;

layout(push_constant) uniform Push {
    Header header;
    FloatsList parts; // [rows, width] each
    Floats shares;    // [rows, parts]
    Floats gate;      // [rows, parts * (width or 1)] or [parts, width or 1]
    Floats layer_scale;
    Floats residual;  // [rows, width]
    Floats to;        // [rows, width]
    Floats norm;      // [width]
    Floats norm_bias;
    Floats normed;    // [rows, width]
    uint width;
    float eps;
} push;

float mixed(uint r, uint c) {
    float sum = 0;
    for (uint p = 0; p < PARTS; ++p) {
        const float share = SHARED_OUT ? push.shares.at[row_in(push.header, r, 1) * PARTS + p] : 1;
        if (share == 0) {
            continue;
        }
        float y = push.parts.at[p].at[row_in(push.header, r, 4 + p) * push.width + c];
        if (SCALE != 0) {
            y *= push.layer_scale.at[(SCALE == 1 ? p * push.width : 0) + c];
        }
        if (GATE != 0) {
            const uint row = GATE == 1 ? row_in(push.header, r, 2) * PARTS + p : p;
            y *= 2 * sigmoid(push.gate.at[GATE_WIDE ? row * push.width + c : row]);
        }
        sum += share * y;
    }
    return RESIDUAL ? sum + push.residual.at[row_in(push.header, r, 3) * push.width + c] : sum;
}

// Of the row that begins at `to`; every invocation reads back what it wrote.
void normalise(uint to) {
    float mean = 0;
    if (NORM == 2) {
        float sum = 0;
        for (uint c = gl_LocalInvocationID.x; c < push.width; c += GROUP) {
            sum += push.to.at[to + c];
        }
        mean = sum_over_group(vec4(sum)).x / push.width;
    }
    float squares = 0;
    for (uint c = gl_LocalInvocationID.x; c < push.width; c += GROUP) {
        const float x = push.to.at[to + c] - mean;
        squares += x * x;
    }
    const float inverse = 1 / sqrt(sum_over_group(vec4(squares)).x / push.width + push.eps);
    for (uint c = gl_LocalInvocationID.x; c < push.width; c += GROUP) {
        const float y = (push.to.at[to + c] - mean) * inverse * push.norm.at[c];
        push.normed.at[to + c] = NORM_BIASED ? y + push.norm_bias.at[c] : y;
    }
}

void main() {
    const uint r = gl_WorkGroupID.y;
    if (r >= row_count(push.header) || !needed(push.header, r)) {
        return;
    }
    const uint to = row_in(push.header, r, 0) * push.width, stride = NORM == 0 ? push.width : GROUP;
    for (uint c = gl_GlobalInvocationID.x; c < push.width; c += stride) {
        push.to.at[to + c] = mixed(r, c);
    }
    if (NORM != 0) {
        normalise(to);
    }
}
