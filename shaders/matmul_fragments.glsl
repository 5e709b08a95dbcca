// SPDX-License-Identifier: GPL-3.0-or-later
// Sizes of a product by cooperative matrices (matmul_tiles.glsl), chosen by the host
// (engine/backend/vulkan/matrices.h) for what the device offers. A fragment is a matrix that a subgroup holds together.
layout(constant_id = 7) const uint FRAGMENT_ROWS = 16;     // of a sum: M of the extension
layout(constant_id = 8) const uint FRAGMENT_COLUMNS = 16;  // N
layout(constant_id = 9) const uint FRAGMENT_DEPTH = 16;    // inputs of one multiplication: K
layout(constant_id = 10) const uint SUBGROUP = 32;         // invocations that hold a fragment
layout(constant_id = 11) const uint DOWN = 2;              // a subgroup has DOWN x ACROSS sums
layout(constant_id = 12) const uint ACROSS = 2;
layout(constant_id = 13) const uint DEPTH = 32;            // inputs in shared memory at a time
// Into how many 16-bit floats a number is split. 1: it is rounded to one, or fits; 2: 22 bits of it are kept.
layout(constant_id = 14) const uint X_PARTS = 2;
layout(constant_id = 15) const uint W_PARTS = 1;

const uint ROWS = 64, OUTPUTS = 64, THREADS = 128; // of a workgroup
const uint TILES = WITH == 2 ? 2 : 1;              // the second is that of a gate's second product
const uint STRIDE = DEPTH / 2 + 4;                 // pairs of inputs from row to row: 16 bytes more spread the banks
const uint ELEMENTS = FRAGMENT_ROWS * FRAGMENT_COLUMNS / SUBGROUP; // of a sum that an invocation stores
const uint X_PART = ROWS * STRIDE, W_PART = OUTPUTS * STRIDE;

shared Pair x_tile[X_PARTS * X_PART];         // [part][row][pair]
shared Pair w_tile[TILES * W_PARTS * W_PART]; // [tile][part][output][pair]
shared float sum_tile[THREADS / SUBGROUP * FRAGMENT_ROWS * FRAGMENT_COLUMNS]; // [subgroup][row][column]
