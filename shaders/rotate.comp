// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// Rotate, the writes of AppendKeyValue and Append: to[h, c] = gain(t) R(t)(root_h * from[h or 0, c]), stored at the
// row of the step or at the absolute position (MoA specification §6.6). One invocation an element.
#include "common.glsl"
layout(local_size_x = 64) in;

layout(constant_id = 0) const uint PAIRING = 0;       // 0: no rotation, 1: half, 2: interleaved
layout(constant_id = 1) const bool GAINED = false;
layout(constant_id = 2) const bool AT_POSITION = false; // `to` is a state
layout(constant_id = 3) const bool DIAGONAL_PER_HEAD = false;

layout(push_constant) uniform Push {
    Header header;
    Floats from; // [rows, heads_in * dim]
    Floats to;   // [rows or positions, heads * dim]
    Floats cosine; // [positions, dim]
    Floats sine;
    Floats gain;
    uint diagonal; // offset in the parameters
    uint heads;
    uint heads_in; // heads or 1
    uint dim;
} push;

void main() {
    const uint r = gl_WorkGroupID.y;
    const uint column = gl_GlobalInvocationID.x;
    if (r >= row_count(push.header) || column >= push.heads * push.dim || !needed(push.header, r)) {
        return;
    }
    note_use(push.header);
    const uint h = column / push.dim, c = column % push.dim;
    const uint t = position_of(push.header, r);
    const uint from = (row_in(push.header, r, 1) * push.heads_in + (push.heads_in == 1 ? 0 : h)) * push.dim;
    uint partner = c;
    float turn = 0; // sign of the partner's share
    if (PAIRING == 1) {
        const uint half_dim = push.dim / 2;
        partner = c < half_dim ? c + half_dim : c - half_dim;
        turn = c < half_dim ? -1 : 1;
    } else if (PAIRING == 2) {
        partner = c ^ 1;
        turn = (c & 1) == 0 ? -1 : 1;
    }
    float x = push.from.at[from + c];
    float other = push.from.at[from + partner];
    if (push.diagonal != NONE) {
        const uint row = push.diagonal + (DIAGONAL_PER_HEAD ? h * push.dim : 0);
        x *= diagonal_root(push.header.step.params.at[row + c]);
        other *= diagonal_root(push.header.step.params.at[row + partner]);
    }
    if (PAIRING != 0) {
        x = x * push.cosine.at[t * push.dim + c] + turn * other * push.sine.at[t * push.dim + c];
    }
    if (GAINED) {
        x *= push.gain.at[t * push.dim + c];
    }
    push.to.at[(AT_POSITION ? t : row_in(push.header, r, 0)) * push.heads * push.dim + column] = x;
}
