// SPDX-License-Identifier: GPL-3.0-or-later
// The vector kernels of the CPU backend, compiled for every instruction set and chosen at run time. They work
// on raw pointers that their callers have checked, touch nothing global and may run on any thread.
//
// Every output's sum is formed in an order that depends on its own length alone: splitting the outputs among
// threads or the rows among steps changes no bit.
#pragma once

#include "engine/backend/logit_parts.h"
#include "engine/backend/rounded_state.h"
#include "engine/tensor/dtype.h"

#include <algorithm>
#include <cstdint>
#include <string>

namespace ergo::cpu {

/// How a state of some heads lies in memory. Each head (side by side: each group of heads) is one stream over
/// all positions: memory is read at its full speed only in long stretches.
enum class StateLayout : std::uint8_t {
    blocks,       ///< [heads][positions / state_block][channels][state_block]: vectors run over positions
    rows,         ///< [heads][positions][channels]: vectors run over channels
    side_by_side, ///< [heads / side][positions][channels][side]: vectors run over heads
};
inline constexpr std::int64_t state_block = 64; ///< positions
inline constexpr std::int64_t side = 16;        ///< heads side by side: the widest vector
/// Narrow heads are laid side by side where they fill vectors and each has its own keys and values; values of
/// whole vectors lie in rows.
StateLayout layout_of(const StateInfo& state);
/// Bytes from one block of a head to the next, or from one position of a head (side by side: of a group of
/// heads) to the next. A state that is not attention's has an odd number of cache lines a block, which keeps
/// its blocks out of the same cache sets.
inline std::int64_t stride_of(const StateInfo& state) {
    const std::int64_t position = stored_bytes(state.stored, state.width / state.heads.count);
    switch (layout_of(state)) {
    case StateLayout::rows:
        return position;
    case StateLayout::side_by_side:
        return position * side;
    case StateLayout::blocks:
        break;
    }
    return position * state_block + (state.heads.dim > 0 ? 0 : 33 * 64);
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
    bool packed = false; // bf16 or f32 in fewer bits (packed_floats.h), aligned to 64 bytes
    const std::uint32_t* exceptions = nullptr; // of a packed matrix
    const float* extents = nullptr;            // of a matrix rounded to whole numbers (PairKernels), or null
    std::int64_t outputs = 0;                  // of the whole matrix
    const float* bias = nullptr;               // [outputs] or null
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
/// Bias and activation of outputs [begin, end) of all rows.
void finish_rows(const LinearArgs& args, std::int64_t begin, std::int64_t end);

/// As tile_floats, pack_tile and linear_rows, two multiplications a lane, for rows and weights rounded to 16
/// bits.
struct PairKernels {
    std::int64_t rows; ///< most of a tile
    std::int64_t (*tile_floats)(std::int64_t inputs);
    void (*pack)(const LinearArgs& args, std::int64_t tile, float* packed);
    void (*linear)(const LinearArgs& args, const float* packed, std::int64_t begin, std::int64_t end);
    /// What weights are rounded by, of outputs [begin, end), in whole groups: a third of the rounding's time,
    /// if known beforehand. To [outputs / 32 rounded up, inputs / 256 rounded up, word_extents]. Null if not
    /// wanted.
    void (*extents)(const LinearArgs& args, std::int64_t begin, std::int64_t end, float* out) = nullptr;
};
/// Of 256 inputs of 32 outputs: each output's sum of squares, and their largest whole number.
inline constexpr std::int64_t word_extents = 33;
inline std::int64_t word_extent_floats(std::int64_t outputs, std::int64_t inputs) {
    return (outputs + interleave - 1) / interleave * ((inputs + 255) / 256) * word_extents;
}
/// For bf16 weights, and inputs rounded to bf16. Null where the processor does not have it or is no faster
/// that way, measured once.
const PairKernels* bf16_pairs();
/// For f16 and bf16 weights. Of every 256 inputs of a row or an output the sum of all squares is 32,767
/// squared in whole numbers, to which they are rounded. Null as above.
const PairKernels* word_pairs();
/// The same to the bit, where three multiplications a lane can do what four do. Null where that is no faster.
const PairKernels* crossed_word_pairs();

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

/// Scores, logits and weights are worked on in groups of so many positions, two of the widest vectors.
inline constexpr std::int64_t score_group = 32;

/// Up to logits_a_part logits, as sum_part() has them.
LogitPart sum_logits(std::int64_t count, const float* logits, float temperature);

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
    DType type = DType::f32;         // of the keys: f32, bf16 or q8
    const std::byte* keys = nullptr; // block 0 of the head's first channel
    std::int64_t stride = 0;         // bytes between blocks
    float* out[most_queries] = {};
};
/// out[q][j - first * state_block] = s of position j, from block `first` to position `end`; what follows up
/// to a whole block may be anything. Whichever queries share a tile, each gets the same bits.
void scores(const ScoreArgs& args, std::int64_t first, std::int64_t end);

/// Turns scores into logits, masks, and finds the largest.
struct LogitArgs {
    float alpha = 1, scale = 1;
    bool gravity = false;
    float strength = 0, softening = 0, distance_scale = 1; // gravity only; strength is mass^2
    Ball::Mode mode = Ball::Mode::off;
    float radius = 0, softness = 0;
    float query_outside = 0;          // soft pairs: the query's own distance beyond the radius
    const float* distances = nullptr; // block 0 of the ball's channel; null: ball off
    std::int64_t stride = 0;          // floats between blocks
    std::int64_t begin = 0, end = 0;  // candidates [begin, end); all others are masked
};
struct LogitResult {
    std::int64_t kept = 0;
    float maximum = 0; // -infinity when nothing is kept
};
/// logits[i] (`count` of them from position first * state_block on, whole groups) = alpha * scores[i] * scale
/// - penalty, -infinity where masked; with gravity strength / (softening - distance_scale * scores[i]) stands
/// for scores[i]. `logits` may be `scores`.
LogitResult logits(const LogitArgs& args, std::int64_t first, std::int64_t count, const float* scores,
                   float* logits);

/// x[i] = exp(x[i] - maximum); returns the sum and, if wanted, sum of exp(x - maximum) * (x - maximum) over
/// finite x. `count` is whole groups.
float exponentials(float maximum, std::int64_t count, float* x, float* weighted);

/// Weighted sums of the values of one head for up to most_queries queries.
struct ValueArgs {
    int queries = 1;
    const float* weights[most_queries] = {}; // from the first block on
    float factor[most_queries] = {};
    DType type = DType::f32;           // of the values: f32, or in rows bf16 or q8
    const std::byte* values = nullptr; // position 0 of the head's first channel
    bool rows = false;                 // in rows, with a multiple of 16 channels; else in blocks
    std::int64_t stride = 0;           // bytes between positions or blocks
    std::int64_t channels = 0;
    std::int64_t end = 0; // positions from here on are not read; their weights are 0
    float* out[most_queries] = {};
};
/// out[q][c] = factor[q] * sum_j weights[q][j] * values[j, c] over blocks [first, last). Any number of
/// channels. Whichever queries share a tile, each gets the same bits.
void weighted_values(const ValueArgs& args, std::int64_t first, std::int64_t last);

/// Attention of many rows in pairs of whole numbers of 16 bits, where scores are dot products; only where
/// there are word_pairs(). Keys and values of a head are laid out once a step, in pairs of channels and of
/// positions, then met by tiles of queries. Of a query or key the sum of all squares is 32,767 squared in
/// whole numbers, to which its channels are rounded; so are the weights of 64 positions, each multiplied by
/// what the largest channel of its value is over 4,095, to which those are rounded. Whichever queries share a
/// tile, each gets the same bits.
inline constexpr int pair_queries = 12;        // most of a tile
inline constexpr std::int64_t pair_group = 32; // positions, or channels, side by side
/// Floats of a head's keys, of every 32 positions three numbers each (words-inl.h) and [(dim + 1) / 2, 32, 2]
/// whole numbers of 16 bits; positions are whole blocks.
inline std::int64_t pair_key_floats(std::int64_t positions, std::int64_t dim) {
    return positions * ((dim + 1) / 2 + 3);
}
/// Floats of 32 channels of 64 positions of values: three numbers each, then [32, 32, 2] whole numbers.
inline constexpr std::int64_t pair_value_group = (3 + state_block / 2) * pair_group;
/// Floats of a head's values, of every 64 positions 64 scales and [channels / 32 rounded up] groups;
/// positions are whole blocks.
inline std::int64_t pair_value_floats(std::int64_t positions, std::int64_t channels) {
    return positions / state_block *
           (state_block + (channels + pair_group - 1) / pair_group * pair_value_group);
}
/// Lays out one block of keys [dim, state_block].
void pair_keys(DType type, const std::byte* block, std::int64_t dim, float* out);
/// Values of a head in rows of a multiple of 16 channels.
struct PairValues {
    DType type = DType::f32;
    const std::byte* values = nullptr; // position 0
    std::int64_t stride = 0;           // bytes between positions
    std::int64_t channels = 0;
};
/// Lays out positions [first, last) of one block, where `first` begins, in a head's values `out`.
void pair_values(const PairValues& args, std::int64_t first, std::int64_t last, float* out);

/// Floats that a tile's queries or weights take.
inline std::int64_t pair_packed_floats(std::int64_t dim) {
    return 16 * (3 + std::max((dim + 1) / 2, state_block / 2));
}
struct PairTile {
    int queries = 1;
    std::int64_t dim = 0, channels = 0;
    const float *keys = nullptr, *values = nullptr; // of the head, laid out
    const float* query[pair_queries] = {};          // [dim]
    float* scores[pair_queries] = {};               // from position `first` on
    float* packed = nullptr;                        // room for pair_packed_floats
    float factor[pair_queries] = {};
    float* out[pair_queries] = {}; // [channels]
};
/// scores[q][j - first] = query[q] . key j for j in [first, end); what follows up to a whole group may be
/// anything. `first` is a multiple of state_block.
void pair_scores(const PairTile& tile, std::int64_t first, std::int64_t end);
/// out[q][c] = factor[q] * sum of scores[q][j - first] * value[j, c] over j in [first, end).
void pair_weighted_values(const PairTile& tile, std::int64_t first, std::int64_t end);

/// Most rows of a tile of heads side by side: keys are read and multiplied by their root once for all of
/// them.
inline constexpr int side_queries = 8;

/// Attention of `side` heads side by side, for one row at a time of up to side_queries that share a pass over
/// keys and values. Arrays marked [side] have one number a head, aligned to 64 bytes.
struct SideArgs {
    Attention::Score score = Attention::Score::negative_squared_distance;
    int queries = 1;
    std::int64_t dim = 0, value_dim = 0;
    const float* query[side_queries] = {}; // [dim, side], multiplied by root
    const float* root = nullptr;           // [dim, side], multiplies the keys
    bool expanded = false;                 // gravity: |q|^2 + |k|^2 - 2 q.k, not clamped
    const float* keys = nullptr;           // [positions, dim, side]
    const float* values = nullptr;         // [positions, value_dim, side]
    std::int64_t begin[side_queries] = {}, end[side_queries] = {}; // candidates of each query

    const float* slope = nullptr; // [side]: alpha
    float scale = 1;
    const float* strength = nullptr; // [side]: gravity, else null
    float softening = 0, distance_scale = 1;

    Ball::Mode mode = Ball::Mode::off;
    const float* distances = nullptr; // [positions, side]; null: ball off
    const float* radius = nullptr;    // [side]
    float softness = 0;
    const float* query_outside[side_queries] = {}; // [side], or null
};
/// s of the positions [first, last) of query q: out[(j - first) * side + h].
void side_scores(const SideArgs& args, int q, std::int64_t first, std::int64_t last, float* out);
/// Scores of all queries become logits[q][(j - first) * side + h] for j in [first, end[q]); masked ones are
/// -infinity. Finds each head's largest logit and how many are kept.
struct SideLogits {
    float* logits[side_queries] = {};
    float* maximum[side_queries] = {}; // [side]
    float* kept[side_queries] = {};    // [side]
};
void side_logits(const SideArgs& args, std::int64_t first, const SideLogits& out);
/// Logits of the heads in `which` [side] alone, for the candidates from `begin` on and without a ball, over
/// what side_logits left: heads whose balls are empty.
void side_unpruned(const SideArgs& args, int q, std::int64_t first, std::int64_t begin, const float* which,
                   const SideLogits& out);
/// logits[q] become exp(logit - maximum); out [value_dim, side] their weighted values over their sum, which
/// it also writes, and of exp(logit - maximum) * (logit - maximum) where `weighted` is given.
struct SideValues {
    float* logits[side_queries] = {};
    const float* maximum[side_queries] = {};
    float* sum[side_queries] = {};      // [side]
    float* weighted[side_queries] = {}; // [side], or null
    float* out[side_queries] = {};      // [value_dim, side]
};
void side_values(const SideArgs& args, std::int64_t first, const SideValues& out);
inline constexpr std::int64_t side_chunk = 16; // positions that all queries pass before the next

/// Keys that a reader of a row's largest weights sees (RowRequest::top_weights).
inline constexpr std::int64_t most_largest = 8;
/// keys[most_largest]: the positions, `base` being the first, of the largest of `count` logits; by falling
/// logit, of equal ones the lower first; -1 where fewer than most_largest are above -infinity.
void largest_logits(const float* logits, std::int64_t count, std::int64_t base, float* keys);
/// The same of each head of a group side by side: logits [count, side], keys [most_largest, side], aligned.
void side_largest_logits(const float* logits, std::int64_t count, std::int64_t base, float* keys);
/// How many of `count` distances are at most `bound`.
std::int64_t count_not_above(const float* distances, std::int64_t count, float bound);
/// The same of each head of a group side by side: distances [count, side], bounds and found [side], aligned.
void side_count_not_above(const float* distances, std::int64_t count, const float* bounds, float* found);

/// What the kernels run with, as people call it: "AVX-512", "AVX2", "SSE4".
std::string instruction_set();

} // namespace ergo::cpu
