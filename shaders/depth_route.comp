// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// DepthRoute: a softmax mixture of a token's depth sources (Kotodama specification §2.3), and the norm (RMSNorm) of it
// where one follows. One workgroup a row.
#include "common.glsl"
#include "reduce.glsl"

layout(constant_id = 0) const uint SOURCES = 2;      // at most 64
layout(constant_id = 1) const bool WEIGHTED = false; // weights are wanted
layout(constant_id = 2) const bool NORMED = false;

layout(push_constant) uniform Push {
    Header header;
    FloatsList sources; // [rows, width] each
    Floats query;       // [width]
    Floats weights;     // [rows, SOURCES]
    Floats to;          // [rows, width]
    uint last_rows_low; // bit s: source s holds the last row only
    uint last_rows_high;
    uint temperature; // offsets in the parameters
    uint mask;
    uint width;
    float eps;
    Floats norm;   // [width]
    Floats normed; // [rows, width]
    float norm_eps;
} push;

uint source_at(uint r, uint s) {
    const uint bits = s < 32 ? push.last_rows_low >> s : push.last_rows_high >> (s - 32);
    return ((bits & 1) != 0 ? 0 : step_row(push.header, r)) * push.width;
}

void main() {
    const uint r = gl_WorkGroupID.y;
    if (r >= row_count(push.header) || !needed(push.header, r)) {
        return;
    }
    note_use(push.header);
    Floats params = push.header.step.params;
    const float temperature = push.temperature == NONE ? 1 : params.at[push.temperature];
    float weight[SOURCES];
    bool present[SOURCES];
    float largest = -INFINITY;
    for (uint s = 0; s < SOURCES; ++s) {
        Floats source = push.sources.at[s];
        const uint from = source_at(r, s);
        vec4 sums = vec4(0); // of squares, of products with the query
        for (uint c = gl_LocalInvocationID.x; c < push.width; c += GROUP) {
            const float x = source.at[from + c];
            sums.x += x * x;
            sums.y += x * push.query.at[c];
        }
        sums = sum_over_group(sums);
        weight[s] = sums.y / sqrt(sums.x / push.width + push.eps) / temperature;
        present[s] = push.mask == NONE || params.at[push.mask + s] != 0;
        largest = present[s] ? max(largest, weight[s]) : largest;
    }
    float sum = 0;
    for (uint s = 0; s < SOURCES; ++s) {
        weight[s] = present[s] ? exp(weight[s] - largest) : 0;
        sum += weight[s];
    }
    const uint row = row_in(push.header, r, 0);
    for (uint s = 0; s < SOURCES; ++s) {
        weight[s] = sum == 0 ? 0 : weight[s] / sum;
        if (WEIGHTED && gl_LocalInvocationID.x == 0) {
            push.weights.at[row * SOURCES + s] = weight[s];
        }
    }
    float squares = 0;
    for (uint c = gl_LocalInvocationID.x; c < push.width; c += GROUP) {
        float mixed = 0;
        for (uint s = 0; s < SOURCES; ++s) {
            if (weight[s] != 0) {
                mixed += weight[s] * push.sources.at[s].at[source_at(r, s) + c];
            }
        }
        push.to.at[row * push.width + c] = mixed;
        squares += mixed * mixed;
    }
    if (NORMED) { // every invocation reads back what it wrote
        const float inverse = 1 / sqrt(sum_over_group(vec4(squares)).x / push.width + push.norm_eps);
        for (uint c = gl_LocalInvocationID.x; c < push.width; c += GROUP) {
            push.normed.at[row * push.width + c] = push.to.at[row * push.width + c] * inverse * push.norm.at[c];
        }
    }
}
