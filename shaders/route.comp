// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// Route: totals and the shares of the top k paths (MoA specification §6.3). One invocation a row.
#include "common.glsl"
#include "activation.glsl"
layout(local_size_x = 64) in;

layout(constant_id = 0) const uint PATHS = 4; // at most 64
layout(constant_id = 1) const uint OFFSET = 0; // 0: none, 1: a buffer, 2: a constant
layout(constant_id = 2) const bool BOUNDED = true;
layout(constant_id = 3) const bool RENORMALISE = true;
layout(constant_id = 4) const bool TOTAL = true; // totals are wanted

layout(push_constant) uniform Push {
    Header header;
    Floats logits; // [rows, paths]
    Floats offset; // [rows, paths] or [paths]
    Floats total;  // [rows, paths]
    Floats shares; // [rows, paths]
    uint temperature; // offsets in the parameters
    uint top_k;
    uint mask;
} push;

// NaN loses to every number.
bool beats(float r, float best) { return r > best || (isnan(best) && !isnan(r)); }

void main() {
    const uint r = gl_GlobalInvocationID.x;
    if (r >= row_count(push.header) || !needed(push.header, r)) {
        return;
    }
    Floats params = push.header.step.params;
    const uint logits = row_in(push.header, r, 2) * PATHS;
    const uint offsets = OFFSET == 1 ? row_in(push.header, r, 3) * PATHS : 0;
    const uint shares = row_in(push.header, r, 0) * PATHS;
    float total[PATHS];
    bool open[PATHS];  // not masked
    bool taken[PATHS]; // among the top k
    float largest = -INFINITY;
    for (uint p = 0; p < PATHS; ++p) {
        float x = push.logits.at[logits + p];
        if (OFFSET != 0) {
            const float offset = push.offset.at[offsets + p];
            x += BOUNDED ? tanh_stable(offset) : offset;
        }
        total[p] = x;
        if (TOTAL) {
            push.total.at[shares + p] = x;
        }
        open[p] = push.mask == NONE || params.at[push.mask + p] != 0;
        taken[p] = false;
        largest = open[p] ? max(largest, x) : largest;
    }
    const uint k = uint(clamp(round(params.at[push.top_k]), 1, PATHS));
    for (uint i = 0; i < k; ++i) {
        uint best = PATHS;
        for (uint p = 0; p < PATHS; ++p) { // of equal values the lower index stays
            if (open[p] && !taken[p] && (best == PATHS || beats(total[p], total[best]))) {
                best = p;
            }
        }
        if (best < PATHS) {
            taken[best] = true;
        }
    }
    const float temperature = params.at[push.temperature];
    float sum = 0;
    for (uint p = 0; p < PATHS; ++p) {
        const bool counted = RENORMALISE ? taken[p] : open[p];
        total[p] = counted ? exp((total[p] - largest) / temperature) : 0;
        sum += total[p];
    }
    for (uint p = 0; p < PATHS; ++p) {
        push.shares.at[shares + p] = taken[p] ? total[p] / sum : 0;
    }
}
