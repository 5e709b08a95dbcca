// SPDX-License-Identifier: GPL-3.0-or-later
// The vector kernels of the CPU backend, compiled for every instruction set and chosen at run time. They work
// on raw pointers that their callers have checked, touch nothing global and may run on any thread.
//
// Every output's sum is formed in an order that depends on its own length alone: splitting the outputs among
// threads or the rows among steps changes no bit.
#pragma once

#include "engine/backend/op.h"
#include "engine/tensor/dtype.h"

#include <cstdint>
#include <string>

namespace ergo::cpu {

/// Positions a block of a state holds. A state of width w keeps position t of channel c at
/// (t / state_block) * block_stride(w) + c * state_block + t % state_block: vectors run over positions, so
/// heads of any width are equally fast.
inline constexpr std::int64_t state_block = 64;
/// Floats from one block to the next; the odd number of cache lines keeps a head's blocks out of the same
/// cache sets.
inline constexpr std::int64_t block_stride(std::int64_t width) {
    return width * state_block + 33 * 16;
}

/// Outputs of an interleaved matrix that lie side by side: whole groups are stored as
/// [outputs / interleave, inputs, interleave], so that a product reads them in one stream; what is left of
/// the outputs follows row by row.
inline constexpr std::int64_t interleave = 32;
/// Interleaves a matrix [outputs, inputs] of elements of 2 or 4 bytes where it lies: groups [begin, end) of
/// it.
void interleave_groups(DType type, std::int64_t inputs, std::int64_t begin, std::int64_t end, void* weight);

/// out[r][o] = act(in[r] . weight[o] + bias[o])
struct LinearArgs {
    const void* weight = nullptr; // [outputs, inputs] of `type`, aligned to its element
    DType type = DType::f32;      // f32, bf16 or f16
    bool interleaved = false;
    std::int64_t outputs = 0;    // of the whole matrix
    const float* bias = nullptr; // [outputs] or null
    Activation activation = Activation::identity;
    std::int64_t inputs = 0, rows = 0;
    const float* const* in = nullptr; // [rows]
    float* const* out = nullptr;      // [rows]
};
/// Outputs [begin, end) of the only row. Pieces of a matrix begin at multiples of 32.
void linear_row(const LinearArgs& args, std::int64_t begin, std::int64_t end);

/// Many rows are first laid out in tiles, which then serve all outputs.
std::int64_t row_tiles(std::int64_t rows);
/// Floats of one tile.
std::int64_t tile_floats(std::int64_t inputs);
/// Lays out one tile of args.in in `packed` [tiles, tile_floats], aligned to 64 bytes.
void pack_tile(const LinearArgs& args, std::int64_t tile, float* packed);
/// Outputs [begin, end) of all rows, to the bit what linear_row gives row by row. Pieces of a matrix begin at
/// multiples of 32.
void linear_rows(const LinearArgs& args, const float* packed, std::int64_t begin, std::int64_t end);

/// out[i] = float(in[i]) of `type`
void widen(DType type, const void* in, std::int64_t count, float* out);

/// One row; in and out may be the same. bias may be null.
void norm(Norm::Kind kind, float eps, std::int64_t width, const float* in, const float* weight,
          const float* bias, float* out);

/// out = act(a) * b; b may be null, out may be a or b.
void gate(Activation activation, std::int64_t width, const float* a, const float* b, float* out);

/// One part of a Mix row: scale * factor[c] * 2 sigmoid(gate[c]) * y[c]; factor and gate may be null.
struct MixPart {
    const float* y = nullptr;
    float scale = 1;
    const float* factor = nullptr;
    const float* gate = nullptr;
};
/// out = residual + sum of parts; residual may be null or out.
void mix(const MixPart* parts, std::int64_t count, std::int64_t width, const float* residual, float* out);

/// (query . source) / sqrt(mean(source^2) + eps): the logit of one depth source.
float depth_logit(float eps, std::int64_t width, const float* query, const float* source);

/// Most queries of a tile of attention: pairs of row and head that share their keys and values.
inline constexpr int most_queries = 4;

/// Scores of up to most_queries queries against keys of one head in blocked layout.
struct ScoreArgs {
    Attention::Score score = Attention::Score::dot;
    int queries = 1;
    const float* query[most_queries] = {}; // [dim] each, multiplied by root
    const float* root = nullptr;           // [dim], multiplies the keys; or null
    bool expanded = false;                 // gravity: |q|^2 + |k|^2 - 2 q.k, not clamped
    std::int64_t dim = 0;
    const float* keys = nullptr; // block 0 of the head's first channel
    std::int64_t stride = 0;     // floats between blocks
    float* out[most_queries] = {};
};
/// out[q][j - first * state_block] = s of position j, for the blocks [first, last). Whichever queries share a
/// tile, each gets the same bits.
void scores(const ScoreArgs& args, std::int64_t first, std::int64_t last);

/// Turns scores into logits, masks, and finds the largest.
struct LogitArgs {
    float alpha = 1, scale = 1;
    bool gravity = false;
    float strength = 0, softening = 0, distance_scale = 1; // gravity only; strength is mass^2
    Ball::Mode mode = Ball::Mode::off;
    float radius = 0, softness = 0;
    float query_outside = 0;          // soft pairs: the query's own distance beyond the radius
    const float* distances = nullptr; // block 0 of the ball's channel; null: ball off
    std::int64_t stride = 0;
    std::int64_t begin = 0, end = 0; // candidates [begin, end); all others are masked
};
struct LogitResult {
    std::int64_t kept = 0;
    float maximum = 0; // -infinity when nothing is kept
};
/// logits[i] (i from position first * state_block) = alpha * scores[i] * scale - penalty, -infinity where
/// masked; with gravity strength / (softening - distance_scale * scores[i]) stands for scores[i]. `logits`
/// may be `scores`.
LogitResult logits(const LogitArgs& args, std::int64_t first, std::int64_t last, const float* scores,
                   float* logits);

/// x[i] = exp(x[i] - maximum); returns the sum and, if wanted, sum of exp(x - maximum) * (x - maximum) over
/// finite x. `count` is a multiple of state_block.
float exponentials(float maximum, std::int64_t count, float* x, float* weighted);

/// Weighted sums of the values of one head for up to most_queries queries.
struct ValueArgs {
    int queries = 1;
    const float* weights[most_queries] = {}; // from the first block on
    float factor[most_queries] = {};
    const float* values = nullptr; // block 0 of the head's first channel
    std::int64_t stride = 0, channels = 0;
    std::int64_t end = 0; // positions from here on are not read; their weights are 0
    float* out[most_queries] = {};
};
/// out[q][c] = factor[q] * sum_j weights[q][j] * values[j, c] over blocks [first, last). Any number of
/// channels. Whichever queries share a tile, each gets the same bits.
void weighted_values(const ValueArgs& args, std::int64_t first, std::int64_t last);

/// What the kernels run with, as people call it: "AVX-512", "AVX2", "SSE4".
std::string instruction_set();

} // namespace ergo::cpu
