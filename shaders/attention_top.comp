// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// RowRequest top_keys and top_weights: the 8 largest weights of a row, equal weights by lower key. Each invocation
// keeps the best 8 of its keys, then the workgroup merges them. One workgroup a row and query head.
#include "attention.glsl"

const uint TOP = 8;
shared float best_logit[GROUP * TOP]; // [invocation][rank], sorted
shared uint best_key[GROUP * TOP];
shared uint heads_of_lists[GROUP];    // next unused rank of each list

bool before(float a, uint key_a, float b, uint key_b) { return a > b || (a == b && key_a < key_b); }

void insert(float logit, uint key) {
    const uint first = gl_LocalInvocationID.x * TOP;
    uint at = TOP;
    while (at > 0 && before(logit, key, best_logit[first + at - 1], best_key[first + at - 1])) {
        if (at < TOP) {
            best_logit[first + at] = best_logit[first + at - 1];
            best_key[first + at] = best_key[first + at - 1];
        }
        --at;
    }
    if (at < TOP) {
        best_logit[first + at] = logit;
        best_key[first + at] = key;
    }
}

void main() {
    const uint row = gl_WorkGroupID.y, head = gl_WorkGroupID.x;
    if (row >= row_count(push.header) || !needed(push.header, row)) {
        return;
    }
    Capture capture = push.capture;
    const Query q = load_query(row, head);
    const uint at = row * HEADS + head;
    const float maximum = capture.state.at[at * 3], sum = capture.state.at[at * 3 + 1];
    const bool fell_back = capture.state.at[at * 3 + 2] != 0;
    for (uint i = 0; i < TOP; ++i) {
        best_logit[gl_LocalInvocationID.x * TOP + i] = -INFINITY;
        best_key[gl_LocalInvocationID.x * TOP + i] = NONE;
    }
    for (uint key = first_candidate(q.position) + gl_LocalInvocationID.x; key <= q.position; key += GROUP) {
        if (is_kept(q, key, fell_back)) {
            insert(logit_of(q, key, score_of(q, key)), key);
        }
    }
    heads_of_lists[gl_LocalInvocationID.x] = 0;
    barrier();
    if (gl_LocalInvocationID.x != 0) {
        return;
    }
    for (uint rank = 0; rank < TOP; ++rank) {
        uint winner = 0;
        float logit = -INFINITY;
        uint key = NONE;
        for (uint list = 0; list < GROUP; ++list) {
            const uint entry = list * TOP + heads_of_lists[list];
            if (heads_of_lists[list] < TOP && before(best_logit[entry], best_key[entry], logit, key)) {
                winner = list;
                logit = best_logit[entry];
                key = best_key[entry];
            }
        }
        ++heads_of_lists[winner];
        const bool found = key != NONE;
        if ((capture.present & 64) != 0) {
            capture.top_keys.at[at * TOP + rank] = found ? float(key) : -1;
        }
        if ((capture.present & 128) != 0) {
            capture.top_weights.at[at * TOP + rank] = found ? exp(logit - maximum) / sum : 0;
        }
    }
}
