// SPDX-License-Identifier: GPL-3.0-or-later
// What attention.comp and attention_join.comp share: the walk over keys with a running maximum and sum, and what
// is written of it.
#include "attention.glsl"

// A workgroup covers the value columns SPLIT times, each part summing every SPLIT-th key of a block.
const uint COLUMNS = VALUE_DIM < GROUP ? VALUE_DIM : GROUP;
const uint SPLIT = GROUP / COLUMNS;
const uint SLOTS = (VALUE_DIM + GROUP - 1) / GROUP; // columns an invocation owns
shared float weights[GROUP];

// Running softmax of a row.
struct Softmax {
    float maximum;
    float sum;      // of exp(logit - maximum)
    float moment;   // of exp(logit - maximum) * (logit - maximum), for the entropy
    float kept;
};
float sums[SLOTS]; // this invocation's share of the weighted values

void add_values(uint first_key, uint count, float decay, uint head) {
    const uint column = gl_LocalInvocationID.x % COLUMNS, part = gl_LocalInvocationID.x / COLUMNS;
    const uint value_head = head * VALUE_HEADS / HEADS;
    for (uint s = 0; s < SLOTS; ++s) {
        sums[s] *= decay;
        const uint c = s * GROUP + column;
        if (part >= SPLIT || c >= VALUE_DIM) {
            continue;
        }
        for (uint i = part; i < count; i += SPLIT) {
            sums[s] += weights[i] * push.values.at[((first_key + i) * VALUE_HEADS + value_head) * VALUE_DIM + c];
        }
    }
}

// Keys begin .. end - 1, none later than the row itself.
Softmax walk(Query q, bool fell_back, uint begin, uint end) {
    Softmax soft = Softmax(-INFINITY, 0, 0, 0);
    for (uint s = 0; s < SLOTS; ++s) {
        sums[s] = 0;
    }
    for (uint first = begin; first < end; first += GROUP) {
        const uint key = first + gl_LocalInvocationID.x;
        const bool kept = key < end && is_kept(q, key, fell_back);
        const float logit = kept ? logit_of(q, key, score_of(q, key)) : -INFINITY;
        const float maximum = max(soft.maximum, max_over_group(logit));
        if (maximum == -INFINITY) {
            continue; // nothing kept so far
        }
        const float lag = kept ? logit - maximum : 0;
        const float weight = kept ? exp(lag) : 0;
        weights[gl_LocalInvocationID.x] = weight;
        const vec4 added = sum_over_group(vec4(weight, weight * lag, kept ? 1 : 0, 0));
        const float drop = soft.sum > 0 ? soft.maximum - maximum : 0;
        const float decay = soft.sum > 0 ? exp(drop) : 0;
        soft.moment = decay * (soft.moment + drop * soft.sum) + added.y;
        soft.sum = decay * soft.sum + added.x;
        soft.kept += added.z;
        soft.maximum = maximum;
        add_values(first, min(GROUP, end - first), decay, q.head);
        barrier();
    }
    return soft;
}

// The second walk of a row that kept nothing.
Softmax walk_back(Query q) {
    return walk(q, true, FALLBACK == 1 ? q.position : first_candidate(q.position), q.position + 1);
}

// The weighted sum of column s * GROUP + gl_LocalInvocationID.x; the parts of a column meet in shared memory. All
// invocations must take part.
float column_sum(uint s) {
    weights[gl_LocalInvocationID.x] = sums[s];
    barrier();
    float y = 0;
    if (gl_LocalInvocationID.x < COLUMNS) {
        for (uint part = 0; part < SPLIT; ++part) {
            y += weights[part * COLUMNS + gl_LocalInvocationID.x];
        }
    }
    barrier();
    return y;
}

// What every column is multiplied by: silenced heads and rows that kept nothing give 0.
float output_factor(Query q, float sum) {
    const float on = push.mask == NONE ? 1 : push.header.step.params.at[push.mask + q.head];
    return sum > 0 ? on / sum : 0;
}

void write_column(Query q, float factor, uint c, float y) {
    const uint to = (row_in(push.header, q.row, 0) * HEADS + q.head) * VALUE_DIM;
    push.to.at[to + c] = factor == 0 ? 0 : y * factor;
}

void write_output(Query q, float sum) {
    const float factor = output_factor(q, sum);
    for (uint s = 0; s < SLOTS; ++s) {
        const float y = column_sum(s);
        const uint c = s * GROUP + gl_LocalInvocationID.x;
        if (gl_LocalInvocationID.x < COLUMNS && c < VALUE_DIM) {
            write_column(q, factor, c, y);
        }
    }
}

void write_capture(Query q, Softmax soft, bool fell_back) {
    Capture capture = push.capture;
    const uint at = q.row * HEADS + q.head;
    const float maximum = soft.kept > 0 ? soft.maximum : 0;
    capture.state.at[at * 3] = maximum;
    capture.state.at[at * 3 + 1] = soft.sum;
    capture.state.at[at * 3 + 2] = fell_back ? 1 : 0;
    if ((capture.present & 1) != 0) {
        capture.maximum.at[at] = maximum;
    }
    if ((capture.present & 2) != 0) {
        capture.sum.at[at] = soft.sum;
    }
    if ((capture.present & 4) != 0) {
        capture.kept.at[at] = soft.kept;
    }
    if ((capture.present & 8) != 0) {
        capture.entropy.at[at] = soft.sum > 0 ? log(soft.sum) - soft.moment / soft.sum : 0;
    }
}
