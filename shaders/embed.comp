// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// Embed: out[r, c] = table[ids[r], c]. One invocation an element.
#include "common.glsl"
#include "weight.glsl"
layout(local_size_x = 64) in;

layout(push_constant) uniform Push {
    Header header;
    Words table;
    Floats to;
    uint width;
    uint rows; // of the table
} push;

void main() {
    const uint r = gl_WorkGroupID.y;
    const uint c = gl_GlobalInvocationID.x;
    if (r >= row_count(push.header) || c >= push.width || !needed(push.header, r)) {
        return;
    }
    const uint id = push.header.step.ids[step_row(push.header, r)];
    push.to.at[row_in(push.header, r, 0) * push.width + c] = weight_at(Matrix(push.table, push.rows, push.width), id, c);
}
