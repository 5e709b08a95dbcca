// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// Attention, streaming: one workgroup a row and query head walks the keys in blocks, with a running maximum and
// sum. Where PARTS is more than 1, as many workgroups share the keys of a row and attention_join.comp follows.
#include "attention_walk.glsl"

void write_part(Query q, Softmax soft, uint part) {
    const uint at = part_at(q, part);
    Floats parts = push.capture.parts;
    if (gl_LocalInvocationID.x == 0) {
        parts.at[at] = soft.maximum;
        parts.at[at + 1] = soft.sum;
        parts.at[at + 2] = soft.moment;
        parts.at[at + 3] = soft.kept;
    }
    for (uint s = 0; s < SLOTS; ++s) {
        const float y = column_sum(s);
        const uint c = s * GROUP + gl_LocalInvocationID.x;
        if (gl_LocalInvocationID.x < COLUMNS && c < VALUE_DIM) {
            parts.at[at + 4 + c] = y;
        }
    }
}

void main() {
    const uint row = gl_WorkGroupID.y, head = gl_WorkGroupID.x, part = gl_WorkGroupID.z;
    if (row >= row_count(push.header) || !needed(push.header, row)) {
        return;
    }
    const uint parts = part_count(position_of(push.header, row));
    if (part >= parts) {
        return;
    }
    note_use(push.header);
    const Query q = load_query(row, head);
    const uint begin = first_candidate(q.position), end = q.position + 1;
    if (parts > 1) {
        const uint length = ((end - begin + parts - 1) / parts + GROUP - 1) / GROUP * GROUP;
        const uint first = min(end, begin + part * length);
        write_part(q, walk(q, false, first, min(end, first + length)), part);
        return;
    }
    Softmax soft = walk(q, false, begin, end);
    const bool fell_back = MODE == 1 && FALLBACK != 2 && soft.kept == 0;
    if (fell_back) {
        soft = walk_back(q);
    }
    write_output(q, soft.sum);
    if (CAPTURED && gl_LocalInvocationID.x == 0) {
        write_capture(q, soft, fell_back);
    }
}
