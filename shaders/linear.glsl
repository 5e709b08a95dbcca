// SPDX-License-Identifier: GPL-3.0-or-later
// What the two kernels of products share: out = act(in W^T + b), and what is done along with it.
#include "common.glsl"
#include "weight.glsl"
#include "activation.glsl"

layout(constant_id = 2) const uint ACTIVATION = 0;
layout(constant_id = 3) const bool BIASED = false;
layout(constant_id = 4) const bool QUADS = false; // inputs is a multiple of 4
// 0: nothing; 1: a residual is added; 2: act(product) is multiplied by a second product; 3: several matrices, the rows
// of one behind the other's (matvec alone)
layout(constant_id = 5) const uint WITH = 0;
layout(constant_id = 6) const bool NORMED = false; // the input is normalised first, RMSNorm (matvec alone)

// Mirrors Push in engine/backend/vulkan/ops_products.cpp.
layout(push_constant) uniform Push {
    Header header;
    Floats from;   // [rows, inputs]
    Words weight;  // [outputs, inputs]
    Floats bias;   // [outputs]
    Floats to;     // [rows, outputs]
    Floats other;  // residual [rows, outputs], second matrix, or table of products
    Floats norm;   // [inputs]
    uint inputs;
    uint outputs; // of all products
    float eps;
} push;

Matrix matrix_at(Words words, uint outputs) { return Matrix(words, outputs, push.inputs); }

// `second`: of the second product, for a gate.
void store(uint row, uint column, float sum, float second) {
    float y = activate(ACTIVATION, BIASED ? sum + push.bias.at[column] : sum);
    if (WITH == 1) {
        y += push.other.at[row_in(push.header, row, 2) * push.outputs + column];
    } else if (WITH == 2) {
        y *= second;
    }
    push.to.at[row_in(push.header, row, 0) * push.outputs + column] = y;
}
