// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// KeptShare: the share of candidate keys inside each head's ball, fallback included. One workgroup a row and head.
#include "common.glsl"
#include "reduce.glsl"

layout(constant_id = 0) const uint FALLBACK = 0; // 0: unpruned, 1: self, 2: zero

layout(push_constant) uniform Push {
    Header header;
    Floats distances; // [positions, balls]
    Floats to;        // [rows, heads]
    uint radius;      // offset in the parameters
    uint radius_rows; // heads or 1
    uint heads;
    uint balls;       // heads or 1
    uint window;
} push;

void main() {
    const uint r = gl_WorkGroupID.y, h = gl_WorkGroupID.x;
    if (r >= row_count(push.header) || !needed(push.header, r)) {
        return;
    }
    const uint t = position_of(push.header, r);
    const uint first = push.window != 0 && t + 1 > push.window ? t + 1 - push.window : 0;
    const float radius = push.header.step.params.at[push.radius + (push.radius_rows == 1 ? 0 : h)];
    const uint ball = h * push.balls / push.heads;
    float kept = 0;
    for (uint key = first + gl_LocalInvocationID.x; key <= t; key += GROUP) {
        kept += push.distances.at[key * push.balls + ball] <= radius ? 1 : 0;
    }
    kept = sum_over_group(vec4(kept)).x;
    const float candidates = t + 1 - first;
    if (kept == 0) {
        kept = FALLBACK == 0 ? candidates : (FALLBACK == 1 ? 1 : 0);
    }
    if (gl_LocalInvocationID.x == 0) {
        push.to.at[row_in(push.header, r, 0) * push.heads + h] = kept / candidates;
    }
}
