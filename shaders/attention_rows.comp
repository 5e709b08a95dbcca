// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// RowRequest logits and scores, after Attention has found each row's maximum: a workgroup covers a block of keys of
// one row and one wanted head.
#include "attention.glsl"

void main() {
    const uint row = gl_WorkGroupID.z;
    if (row >= row_count(push.header) || !needed(push.header, row)) {
        return;
    }
    Capture capture = push.capture;
    const uint head = capture.wanted[gl_WorkGroupID.y];
    const Query q = load_query(row, head);
    const uint keys = push.header.step.position + push.header.step.rows;
    const uint key = gl_GlobalInvocationID.x;
    if (key >= keys) {
        return;
    }
    const bool fell_back = capture.state.at[(row * HEADS + head) * 3 + 2] != 0;
    const uint at = (row * capture.wanted_count + gl_WorkGroupID.y) * keys + key;
    const float score = score_of(q, key);
    if ((capture.present & 16) != 0) {
        capture.logits.at[at] = is_kept(q, key, fell_back) ? logit_of(q, key, score) : -INFINITY;
    }
    if ((capture.present & 32) != 0) {
        capture.scores.at[at] = score;
    }
}
