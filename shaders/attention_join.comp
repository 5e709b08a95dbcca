// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// Brings the parts together into which attention.comp has split the keys of a row: one workgroup a row and head.
#include "attention_walk.glsl"

// Running softmax over all parts.
Softmax join(Query q, uint parts) {
    Floats from = push.capture.parts;
    Softmax all = Softmax(-INFINITY, 0, 0, 0);
    for (uint part = 0; part < parts; ++part) {
        const uint at = part_at(q, part);
        if (from.at[at + 1] > 0) {
            all.maximum = max(all.maximum, from.at[at]);
        }
    }
    for (uint part = 0; part < parts; ++part) {
        const uint at = part_at(q, part);
        const float sum = from.at[at + 1];
        if (sum > 0) {
            const float drop = from.at[at] - all.maximum, decay = exp(drop);
            all.sum += decay * sum;
            all.moment += decay * (from.at[at + 2] + drop * sum);
            all.kept += from.at[at + 3];
        }
    }
    return all;
}

void write_joined(Query q, Softmax all, uint parts) {
    Floats from = push.capture.parts;
    const float factor = output_factor(q, all.sum);
    for (uint c = gl_LocalInvocationID.x; c < VALUE_DIM; c += GROUP) {
        float y = 0;
        for (uint part = 0; part < parts; ++part) {
            const uint at = part_at(q, part);
            if (from.at[at + 1] > 0) {
                y += exp(from.at[at] - all.maximum) * from.at[at + 4 + c];
            }
        }
        write_column(q, factor, c, y);
    }
}

void main() {
    const uint row = gl_WorkGroupID.y, head = gl_WorkGroupID.x;
    if (row >= row_count(push.header) || !needed(push.header, row)) {
        return;
    }
    const uint parts = part_count(position_of(push.header, row));
    if (parts == 1) {
        return; // attention.comp has done it all
    }
    const Query q = load_query(row, head);
    Softmax soft = join(q, parts);
    const bool fell_back = MODE == 1 && FALLBACK != 2 && soft.kept == 0;
    if (fell_back) {
        soft = walk_back(q);
        write_output(q, soft.sum);
    } else {
        write_joined(q, soft, parts);
    }
    if (CAPTURED && gl_LocalInvocationID.x == 0) {
        write_capture(q, soft, fell_back);
    }
}
