// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// What rotate.comp does, for several ops at once, and a norm of each head (RMSNorm) before it. A workgroup is one head
// of one of them.
#include "common.glsl"
#include "reduce.glsl"

// Mirrors TurnRow in engine/backend/vulkan/ops_turns.cpp.
struct Turn {
    Floats from;   // [rows, heads_in * dim]
    Floats to;     // [rows or positions, heads * dim]
    Floats cosine; // [positions, dim]
    Floats sine;
    Floats gain;   // [positions, dim]
    Floats norm;   // [dim]
    uint diagonal; // offset in the parameters
    uint heads;
    uint heads_in; // heads or 1
    uint dim;
    uint first; // workgroup of head 0
    uint flags;
    float eps;
    uint unused;
};
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer Turns { Turn at[]; };

layout(push_constant) uniform Push {
    Header header;
    Turns turns;
} push;

const uint AT_POSITION = 4, DIAGONAL_PER_HEAD = 8, GAINED = 16, NORMED = 32;

void main() {
    const uint r = gl_WorkGroupID.y;
    if (r >= row_count(push.header) || !needed(push.header, r)) {
        return;
    }
    note_use(push.header);
    uint i = 0;
    while (gl_WorkGroupID.x >= push.turns.at[i].first + push.turns.at[i].heads) {
        ++i;
    }
    Turn turn = push.turns.at[i];
    const uint h = gl_WorkGroupID.x - turn.first;
    const uint row = step_row(push.header, r), t = position_of(push.header, r);
    const uint from = (row * turn.heads_in + (turn.heads_in == 1 ? 0 : h)) * turn.dim;
    const uint to = (((turn.flags & AT_POSITION) != 0 ? t : row) * turn.heads + h) * turn.dim;
    const bool normed = (turn.flags & NORMED) != 0;
    float inverse = 1;
    if (normed) {
        float squares = 0;
        for (uint c = gl_LocalInvocationID.x; c < turn.dim; c += GROUP) {
            const float x = turn.from.at[from + c];
            squares += x * x;
        }
        inverse = 1 / sqrt(sum_over_group(vec4(squares)).x / turn.dim + turn.eps);
    }
    const uint pairing = turn.flags & 3;
    for (uint c = gl_LocalInvocationID.x; c < turn.dim; c += GROUP) {
        uint partner = c;
        float sign_of = 0; // of the partner's share
        if (pairing == 1) {
            const uint half_dim = turn.dim / 2;
            partner = c < half_dim ? c + half_dim : c - half_dim;
            sign_of = c < half_dim ? -1 : 1;
        } else if (pairing == 2) {
            partner = c ^ 1;
            sign_of = (c & 1) == 0 ? -1 : 1;
        }
        float x = turn.from.at[from + c];
        float other = turn.from.at[from + partner];
        if (normed) {
            x *= inverse * turn.norm.at[c];
            other *= inverse * turn.norm.at[partner];
        }
        if (turn.diagonal != NONE) {
            const uint m = turn.diagonal + ((turn.flags & DIAGONAL_PER_HEAD) != 0 ? h * turn.dim : 0);
            x *= diagonal_root(push.header.step.params.at[m + c]);
            other *= diagonal_root(push.header.step.params.at[m + partner]);
        }
        if (pairing != 0) {
            x = x * turn.cosine.at[t * turn.dim + c] + sign_of * other * turn.sine.at[t * turn.dim + c];
        }
        if ((turn.flags & GAINED) != 0) {
            x *= turn.gain.at[t * turn.dim + c];
        }
        turn.to.at[to + c] = x;
    }
}
