// SPDX-License-Identifier: GPL-3.0-or-later
#version 460
// Products for the rows of a prompt by the device's cooperative matrices: 16-bit floats, sums in float32. Left out where
// the shader compiler does not know the extension; matmul_emulated.comp is the same without it.
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "linear.glsl"
layout(local_size_x = 128) in;

#define Pair f16vec2
Pair pair_of(vec2 v) { return f16vec2(v); }
vec2 floats_of(Pair p) { return vec2(p); }

#include "matmul_fragments.glsl"

#define Inputs coopmat<float16_t, gl_ScopeSubgroup, FRAGMENT_ROWS, FRAGMENT_DEPTH, gl_MatrixUseA>
#define Weights coopmat<float16_t, gl_ScopeSubgroup, FRAGMENT_DEPTH, FRAGMENT_COLUMNS, gl_MatrixUseB>
#define Sums coopmat<float, gl_ScopeSubgroup, FRAGMENT_ROWS, FRAGMENT_COLUMNS, gl_MatrixUseAccumulator>

uint own_subgroup() { return gl_SubgroupID; }
uint own_lane() { return gl_SubgroupInvocationID; }

Sums no_sums() { return Sums(0.0); }

// The fragment whose first pair is at `at` of the tile.
Inputs load_inputs(uint at) {
    Inputs loaded;
    coopMatLoad(loaded, x_tile, at, STRIDE, gl_CooperativeMatrixLayoutRowMajor);
    return loaded;
}
Weights load_weights(uint at) {
    Weights loaded; // a column is an output's inputs
    coopMatLoad(loaded, w_tile, at, STRIDE, gl_CooperativeMatrixLayoutColumnMajor);
    return loaded;
}
Sums multiply_add(Inputs x, Weights w, Sums sums) { return coopMatMulAdd(x, w, sums); }
Sums add_scaled(Sums sums, Sums others, float scale) { return sums + others * scale; }
void store_sums(Sums sums, uint at) {
    coopMatStore(sums, sum_tile, at, FRAGMENT_COLUMNS, gl_CooperativeMatrixLayoutRowMajor);
}

#include "matmul_tiles.glsl"
