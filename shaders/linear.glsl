// SPDX-License-Identifier: GPL-3.0-or-later
// What the two kernels of Linear share: out = act(in W^T + b).
#include "common.glsl"
#include "weight.glsl"
#include "activation.glsl"

layout(constant_id = 2) const uint ACTIVATION = 0;
layout(constant_id = 3) const bool BIASED = false;
layout(constant_id = 4) const bool QUADS = false; // inputs is a multiple of 4

layout(push_constant) uniform Push {
    Header header;
    Floats from;   // [rows, inputs]
    Words weight;  // [outputs, inputs]
    Floats bias;   // [outputs]
    Floats to;     // [rows, outputs]
    uint inputs;
    uint outputs;
} push;

Matrix matrix() { return Matrix(push.weight, push.outputs, push.inputs); }

void store(uint row, uint column, float sum) {
    const float y = BIASED ? sum + push.bias.at[column] : sum;
    push.to.at[row_in(push.header, row, 0) * push.outputs + column] = activate(ACTIVATION, y);
}
