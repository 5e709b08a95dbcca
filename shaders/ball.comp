// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// Ball distances: to[b] = |root_b * (point_b - origin_b)| (MoA specification §6.5). One invocation a row and ball.
#include "common.glsl"
layout(local_size_x = 64) in;

layout(constant_id = 0) const bool FROM_POSITION = false; // `points` is a state
layout(constant_id = 1) const bool TO_POSITION = false;   // `to` is a state

layout(push_constant) uniform Push {
    Header header;
    Floats points; // [rows or positions, point_heads * dim]
    Floats to;     // [rows or positions, balls]
    uint origin;   // offsets in the parameters
    uint diagonal;
    uint origin_rows;   // balls or 1
    uint diagonal_rows; // balls or 1
    uint point_heads;   // balls or 1
    uint balls;
    uint dim;
} push;

void main() {
    const uint r = gl_WorkGroupID.y;
    const uint b = gl_GlobalInvocationID.x;
    if (r >= row_count(push.header) || b >= push.balls || !needed(push.header, r)) {
        return;
    }
    const uint t = position_of(push.header, r);
    const uint point = ((FROM_POSITION ? t : row_in(push.header, r, 1)) * push.point_heads + (push.point_heads == 1 ? 0 : b)) * push.dim;
    const uint origin = push.origin + (push.origin_rows == 1 ? 0 : b) * push.dim;
    const uint diagonal = push.diagonal + (push.diagonal_rows == 1 ? 0 : b) * push.dim;
    float sum = 0;
    for (uint c = 0; c < push.dim; ++c) {
        float x = push.points.at[point + c] - push.header.step.params.at[origin + c];
        if (push.diagonal != NONE) {
            x *= diagonal_root(push.header.step.params.at[diagonal + c]);
        }
        sum += x * x;
    }
    push.to.at[(TO_POSITION ? t : row_in(push.header, r, 0)) * push.balls + b] = sqrt(sum);
}
