// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// Gate: out = act(a) * b, or act(a). One invocation an element.
#include "common.glsl"
#include "activation.glsl"
layout(local_size_x = 64) in;

layout(constant_id = 0) const uint ACTIVATION = 0;
layout(constant_id = 1) const bool GATED = true;

layout(push_constant) uniform Push {
    Header header;
    Floats a;
    Floats b;
    Floats to;
    uint width;
    uint a_width, b_width;   // of the whole buffers
    uint a_offset, b_offset; // first columns
} push;

void main() {
    const uint r = gl_WorkGroupID.y;
    const uint c = gl_GlobalInvocationID.x;
    if (r >= row_count(push.header) || c >= push.width || !needed(push.header, r)) {
        return;
    }
    note_use(push.header);
    float y = activate(ACTIVATION, push.a.at[row_in(push.header, r, 1) * push.a_width + push.a_offset + c]);
    if (GATED) {
        y *= push.b.at[row_in(push.header, r, 2) * push.b_width + push.b_offset + c];
    }
    push.to.at[row_in(push.header, r, 0) * push.width + c] = y;
}
