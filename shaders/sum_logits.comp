// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// SumLogits: of every 256 logits the largest and two sums under a softmax (engine/backend/logit_parts.h). One
// workgroup a part of a row. What is not finite counts nothing.
#include "common.glsl"
#include "reduce.glsl"

layout(push_constant) uniform Push {
    Header header;
    Floats logits; // [rows, vocabulary]
    Floats parts;  // [rows, parts, 3]
    uint vocabulary;
} push;

const uint PART = 256; // logits_a_part
const uint EACH = PART / GROUP;

void main() {
    const uint r = gl_WorkGroupID.y, part = gl_WorkGroupID.x;
    const float temperature = push.header.step.temperature;
    if (r >= row_count(push.header) || !needed(push.header, r) || temperature < 0) {
        return;
    }
    const uint from = row_in(push.header, r, 1) * push.vocabulary;
    float logits[EACH];
    float largest = -INFINITY;
    [[unroll]] for (uint i = 0; i < EACH; ++i) {
        const uint id = part * PART + i * GROUP + gl_LocalInvocationIndex;
        const float l = id < push.vocabulary ? push.logits.at[from + id] : -INFINITY;
        logits[i] = abs(l) < INFINITY ? l : -INFINITY; // NaN is not below anything
        largest = max(largest, logits[i]);
    }
    largest = max_over_group(largest);
    vec4 sums = vec4(0); // of e^x, and of e^(x / temperature)
    if (largest > -INFINITY) {
        [[unroll]] for (uint i = 0; i < EACH; ++i) {
            if (logits[i] > -INFINITY) {
                const float below = logits[i] - largest;
                sums.x += exp(below);
                sums.y += temperature > 0 ? exp(below / temperature) : exp(below);
            }
        }
    }
    sums = sum_over_group(sums);
    if (gl_LocalInvocationIndex == 0) {
        const uint to = (row_in(push.header, r, 0) * ((push.vocabulary + PART - 1) / PART) + part) * 3;
        push.parts.at[to] = largest;
        push.parts.at[to + 1] = sums.x;
        push.parts.at[to + 2] = sums.y;
    }
    note_use(push.header);
}
