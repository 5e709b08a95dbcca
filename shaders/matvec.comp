// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// Products for few rows: one subgroup an output, whatever the subgroup's size. Bound by reading the matrix.
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_KHR_shader_subgroup_arithmetic : require
#extension GL_KHR_shader_subgroup_ballot : require
#include "linear.glsl"
layout(local_size_x = 128) in;

// Mirrors Product in engine/backend/vulkan/ops_products.cpp.
struct Product {
    Words weight;
    Floats bias;
    Floats to;
    uint outputs;
    uint first; // number of output 0 among those of all products
    uint activation;
    uint biased;
};
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer Products { Product at[]; };

float input_at(uint from, uint k) {
    const float x = push.from.at[from + k];
    return NORMED ? x * push.norm.at[k] : x;
}

// Inputs 4 q .. 4 q + 3 of the row that begins at `from`, 0 behind the last; before a norm's common factor.
vec4 input_quad(uint from, uint q) {
    if (QUADS) {
        if (4 * q >= push.inputs) {
            return vec4(0);
        }
        const vec4 x = Quads(push.from).at[from / 4 + q];
        return NORMED ? x * Quads(push.norm).at[q] : x;
    }
    vec4 x = vec4(0);
    [[unroll]] for (uint i = 0; i < 4; ++i) {
        if (4 * q + i < push.inputs) {
            x[i] = input_at(from, 4 * q + i);
        }
    }
    return x;
}

// This lane's share of row `o` in whole numbers. Lanes take two words each: 8 (q8) or 16 (q4) inputs of a group.
float grouped_share(Matrix m, uint o, uint from, uint lane, uint lanes) {
    const uint pairs = groups_a_row(m) * (GROUP_WORDS / 2);
    float sum = 0;
    for (uint p = lane; p < pairs; p += lanes) {
        const uvec2 words = WordPairs(m.words).at[o * pairs + p];
        const uint g = p / (GROUP_WORDS / 2), s = p % (GROUP_WORDS / 2) * 2;
        const vec2 scale = group_scale(m, o, g);
        const vec4 a = input_quad(from, g * 8 + s), b = input_quad(from, g * 8 + s + 1);
        if (STORED == 3) {
            sum += scale.x * (dot(a, signed_bytes(words.x)) + dot(b, signed_bytes(words.y)));
            continue;
        }
        const vec4 c = input_quad(from, g * 8 + s + 4), d = input_quad(from, g * 8 + s + 5);
        sum += scale.x * (dot(a, low_nibbles(words.x)) + dot(b, low_nibbles(words.y)) +
                          dot(c, low_nibbles(words.x >> 4)) + dot(d, low_nibbles(words.y >> 4)));
        sum += scale.y * dot(a + b + c + d, vec4(1));
    }
    return sum;
}

float float_share(Matrix m, uint o, uint from, uint lane, uint lanes) {
    if (QUADS) {
        vec4 sums = vec4(0);
        for (uint k = lane; k < push.inputs / 4; k += lanes) {
            sums += input_quad(from, k) * weight_quad(m, o, k);
        }
        return (sums.x + sums.y) + (sums.z + sums.w);
    }
    float sum = 0;
    for (uint k = lane; k < push.inputs; k += lanes) {
        sum += input_at(from, k) * weight_at(m, o, k);
    }
    return sum;
}

float product_of(Matrix m, uint o, uint from, uint lane, uint lanes) {
    return subgroupAdd(GROUPED ? grouped_share(m, o, from, lane, lanes) : float_share(m, o, from, lane, lanes));
}

shared float squares_of[128]; // one a subgroup; room even for subgroups of one

// 1 / rms of the row that begins at `from`; the whole workgroup takes part.
float inverse_norm(uint from) {
    float squares = 0;
    for (uint k = gl_LocalInvocationIndex; k < push.inputs; k += gl_WorkGroupSize.x) {
        const float x = push.from.at[from + k];
        squares += x * x;
    }
    squares = subgroupAdd(squares);
    if (subgroupElect()) {
        squares_of[gl_SubgroupID] = squares;
    }
    barrier();
    float sum = 0;
    for (uint i = 0; i < gl_NumSubgroups; ++i) {
        sum += squares_of[i];
    }
    return 1 / sqrt(sum / push.inputs + push.eps);
}

// Output `o` of all products.
void one_of_several(uint r, uint o, uint from, uint lane, uint lanes, float factor) {
    Products table = Products(push.other);
    uint i = 0;
    while (o >= table.at[i].first + table.at[i].outputs) {
        ++i;
    }
    Product product = table.at[i];
    const uint row = o - product.first;
    const float sum = factor * product_of(matrix_at(product.weight, product.outputs), row, from, lane, lanes);
    if (lane == 0) {
        const float y = product.biased != 0 ? sum + product.bias.at[row] : sum;
        product.to.at[row_in(push.header, r, 0) * product.outputs + row] = activate(product.activation, y);
    }
}

void main() {
    const uint r = gl_WorkGroupID.y;
    if (r >= row_count(push.header) || !needed(push.header, r)) {
        return;
    }
    note_use(push.header);
    const uvec4 active_lanes = subgroupBallot(true);
    const uint lanes = subgroupBallotBitCount(active_lanes);
    const uint lane = subgroupBallotExclusiveBitCount(active_lanes);
    const uint from = row_in(push.header, r, 1) * push.inputs;
    const float factor = NORMED ? inverse_norm(from) : 1;
    const uint stride = gl_NumWorkGroups.x * gl_NumSubgroups;
    for (uint o = gl_WorkGroupID.x * gl_NumSubgroups + gl_SubgroupID; o < push.outputs; o += stride) {
        if (WITH == 3) {
            one_of_several(r, o, from, lane, lanes, factor);
            continue;
        }
        const float sum = factor * product_of(matrix_at(push.weight, push.outputs), o, from, lane, lanes);
        float second = 0;
        if (WITH == 2) {
            second = factor * product_of(matrix_at(Words(push.other), push.outputs), o, from, lane, lanes);
        }
        if (lane == 0) {
            store(r, o, sum, second);
        }
    }
}
