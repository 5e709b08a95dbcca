// SPDX-License-Identifier: GPL-3.0-or-later
// The ops of a plan. Few and fused; each struct says what it reads, what it writes, and the formula. All
// arithmetic is float32, reductions included. n is the number of rows of the step, t the position of a row.
//
// Any row-wise op may write a last_row buffer: it then computes the step's last row alone. Its inputs are
// then rows or last_row buffers; an op that writes rows reads rows only.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace ergo {

/// Typed index into one table; -1 means none.
template <class Tag> struct Handle {
    std::int32_t index = -1;
    explicit operator bool() const { return index >= 0; }
    bool operator==(const Handle&) const = default;
};
using BufferId = Handle<struct BufferTag>;
using WeightId = Handle<struct WeightTag>;
using ParamId = Handle<struct ParamTag>;
using StateId = Handle<struct StateTag>;

enum class Activation : std::uint8_t { identity, silu, gelu, gelu_tanh, relu, sigmoid };

/// How finely a backend may round the inputs of a product whose weight is in whole numbers. 8 bits are as
/// many as such weights have and take half of the work of a prompt; 16 are for models where small errors
/// decide something else than a sum: a router's paths, the keys within a radius.
enum class Rounding : std::uint8_t { bits16, bits8 };

/// `when(route, path)`: the op is needed only for rows whose share of `path` is not 0. A backend skips the
/// other rows (their output is unspecified and is never read) and skips the op when no row is left.
struct Guard {
    BufferId shares; ///< [n, paths] as written by Route; none: always needed
    std::int32_t path = 0;
    explicit operator bool() const { return static_cast<bool>(shares); }
    bool operator==(const Guard&) const = default;
};

/// out[r] = table[ids[r]]
struct Embed {
    WeightId table; // [vocabulary, width]
    BufferId out;   // [n, width]
};

/// LayerNorm (biased variance) or RMSNorm over the last axis, eps inside the root. A row of `heads` heads is
/// normalised head by head with the same weight.
struct Norm {
    enum class Kind : std::uint8_t { layer, rms };
    BufferId in, out;      // [n, heads * width]; may be the same buffer
    WeightId weight, bias; // [width]; bias may be none
    Kind kind = Kind::layer;
    float eps = 1e-5f;
    std::int32_t heads = 1;
};

/// out = act(in W^T + b)
struct Linear {
    BufferId in;           // [n, inputs]
    WeightId weight, bias; // [outputs, inputs], [outputs] or none
    BufferId out; // [n, outputs], or [1, outputs] of the step's last row when out is a last_row buffer
    Activation activation = Activation::identity;
    Rounding rounding = Rounding::bits16;
};

/// out = act(a) * b, or act(a) without b. `a` and `b` may be column ranges of wider buffers.
struct Gate {
    BufferId a, b, out;                      // [n, width]
    std::int64_t a_offset = 0, b_offset = 0; // first column
    Activation activation = Activation::silu;
};

/// state[t] = in[r]: keeps one row a token (convolution inputs).
struct Append {
    BufferId in; // [n, width]
    StateId state;
};

/// Causal depthwise filter over the state of Append: y[t, c] = b[c] + sum_i W[c, i] state[t - (k - 1) + i,
/// c], zeros before position 0; out = act(y). (MoA specification §6.4)
struct Convolution {
    StateId history;       // [positions, width]
    WeightId weight, bias; // [width, k], [width] or none
    BufferId out;          // [n, width]
    Activation activation = Activation::silu;
};

/// Rotation tables of one site, by position: cos, sin and value gain, [positions, dim] each (MoA
/// specification §6.6).
struct Rotation {
    enum class Pairing : std::uint8_t { half, interleaved };
    WeightId cos, sin; // none: no rotation
    WeightId gain;     // value gain, [positions, value_dim]; none: 1
    Pairing pairing = Pairing::half;
};

/// A ball test around a head's origin: distance |point - origin|, or with the metric's diagonal inside.
/// Every `diagonal` is m of the diagonal metric: vectors are multiplied by sqrt(max(m, 0)).
/// The balls of a projection with `heads` heads are max(heads, rows of origin): ball b tests head b (or the
/// only head) against origin b (or the only origin). Keys and queries of one attention may so have different
/// numbers of balls; query head h uses ball h, or the only one. (MoA specification §6.5)
struct Ball {
    enum class Mode : std::uint8_t { off, hard, soft };
    enum class Test : std::uint8_t { keys, pairs };
    enum class Fallback : std::uint8_t { unpruned, self, zero };
    Mode mode = Mode::off;
    Test test = Test::keys;
    Fallback fallback = Fallback::unpruned;
    bool unrotated = false; ///< the point is the projection before scaling and rotation
    ParamId origin;         // [heads or 1, dim]
    ParamId radius;         // [heads or 1]
    ParamId diagonal;       // [heads or 1, dim]: distance in the metric; none: Euclidean
    float softness = 10;    ///< logit penalty per unit outside, soft mode
};

/// out[r, h] = R(t) (sqrt(diagonal_h) * in[r, h or 0]) per head of width dim; diagonal none: no scaling
/// (it is set only where the metric scales before the rotation).
/// Also writes the ball distance of each point when `distance` is given.
struct Rotate {
    BufferId in, out; // [n, heads_in * dim] -> [n, heads * dim]; heads_in is heads or 1
    std::int32_t heads = 1, heads_in = 1, dim = 0;
    Rotation rotation;
    ParamId diagonal;  // [heads or 1, dim]
    Ball ball;         // mode off: no distance
    BufferId distance; // [n, balls]; none unless wanted
};

/// The same for keys and values, written to the session's state: K[t] = R(t)(sqrt(diagonal) k), V[t] =
/// gain(t) v, and the key's ball distances. Never guarded: every token is remembered by every path.
struct AppendKeyValue {
    BufferId key;   // [n, heads_in * dim]
    BufferId value; // [n, value_heads * value_dim]; may be the key's buffer (tied)
    std::int32_t heads = 1, heads_in = 1, dim = 0; // key heads written, key heads read
    std::int32_t value_heads = 1, value_dim = 0;
    Rotation rotation;
    ParamId diagonal;
    Ball ball;
    StateId keys;      // [positions, heads * dim]
    StateId values;    // [positions, value_heads * value_dim]
    StateId distances; // [positions, balls]; none when the ball is off
};

/// How Score::gravity turns a squared distance into a logit: mass_h^2 / (distance_scale * d^2 + softening).
/// (Gravity-2 specification §7)
struct Gravity {
    ParamId mass;             // [heads]
    float softening = 0.1f;   ///< keeps a key that coincides with its query finite
    float distance_scale = 1; ///< multiplies the squared distance
    bool squared = true;      ///< false: the mass itself instead of its square
    /// d^2 by differences: never below 0, and exact where query and key nearly coincide, which is where
    /// gravity is strongest. False: |q|^2 + |k|^2 - 2 q.k as float32 gives it, whatever its sign.
    bool clamp = true;
};

/// What a reader wants of the rows of one attention op. Each is a buffer or none.
struct RowRequest {
    std::vector<std::int32_t> heads; ///< heads of `logits` and `scores`, in this order; empty: all
    BufferId logits;                 // [n, |heads|, keys] rows_keys: masked pairs are -infinity
    BufferId scores;  // [n, |heads|, keys] rows_keys: s of every key present, masked, later than t or not;
                      // gravity: -d^2
    BufferId maximum; // [n, heads] largest kept logit (0 where nothing is kept)
    BufferId sum;     // [n, heads] sum of exp(logit - maximum) over kept keys
    BufferId kept;    // [n, heads] number of kept keys after the fallback
    BufferId entropy; // [n, heads] of the weights, nats
    BufferId top_keys, top_weights; // [n, heads * 8]: the 8 largest weights, key index as a float (-1: none)
};

/// One attention over the state: s by `score`, logit = alpha_h * s * scale, ball, window, causal; softmax;
/// weighted sum of values. Key head of query head h is h * key_heads / heads (1 key head: MQA). (MoA
/// specification §6.5, Gravity-2 specification §7)
struct Attention {
    enum class Score : std::uint8_t { dot, negative_squared_distance, cosine, gravity };
    BufferId query;          // [n, heads * dim], rotated
    BufferId query_distance; // [n, heads], pairs test only
    StateId keys, values;
    StateId distances; // [positions, heads or 1]; none when the ball is off
    std::int32_t heads = 1, key_heads = 1, dim = 0, value_heads = 1, value_dim = 0;
    Score score = Score::negative_squared_distance;
    ParamId diagonal;    // [heads or 1, dim]: its root multiplies q and k inside the score; none: 1
    bool direct = false; ///< squared distance by differences instead of |q|^2 + |k|^2 - 2 q.k
    Gravity gravity;     ///< of Score::gravity
    ParamId alpha;       // [heads]; none: 1
    ParamId mask;        // [heads], multiplies the head's output: 0 silences it; none: all 1. Rows ignore it
    float scale = 1;
    std::int64_t window = 0; ///< 0: unlimited, else t - j < window
    Ball ball;
    /// bits8: only sums hang on it, so that where 16 bits were asked for, or products round to fewer anyhow,
    /// a prompt's queries, keys, weights and values may be rounded to as many.
    Rounding rounding = Rounding::bits16;
    BufferId out; // [n, heads * value_dim]
    RowRequest rows;
};

/// Share of candidate keys each head's ball keeps at this token, fallback included; needs no query, so it is
/// known for paths that are not taken. Keys test and hard mode only.
struct KeptShare {
    StateId distances; // [positions, heads or 1]
    Ball ball;
    std::int32_t heads = 1;
    std::int64_t window = 0;
    BufferId out; // [n, heads], 0..1
};

/// r = logits + bound(offset); shares = softmax of the top k of r / temperature (equal values: lower index
/// first), 0 elsewhere. (MoA specification §6.3)
struct Route {
    BufferId logits;          // [n, paths]
    BufferId offset;          // [n, paths] or none
    WeightId constant_offset; // [paths] or none, instead of `offset`
    bool tanh_offset = true;
    ParamId temperature;     // [1]
    ParamId top_k;           // [1], rounded
    bool renormalise = true; ///< false: softmax over all paths, then zero outside the top k
    std::int32_t paths = 4;
    ParamId mask;    // [paths]: 0 removes a path before the top k; none: all 1
    BufferId total;  // [n, paths]: r
    BufferId shares; // [n, paths]
};

/// out = residual + sum_p share_p * (g_p * ls_p * y_p), g_p = 2 sigmoid(gate_p). Paths with share 0 are not
/// read.
struct Mix {
    std::vector<BufferId> parts; // [n, width] each
    BufferId shares;             // [n, parts]; none: 1
    BufferId gate;               // [n, parts * gate_width] or none
    WeightId constant_gate;      // [parts, width] or [parts]; none. Instead of `gate`
    std::int64_t gate_width = 0; ///< width or 1, for `gate`
    WeightId layer_scale;        // [parts, width] or [width]; none
    BufferId residual;           // [n, width] or none
    BufferId out;                // [n, width]; may be the residual's buffer
};

/// Attention over depth: a softmax mixture of what earlier parts of the model left for this token. Every row
/// routes on its own. l_s = (query . v_s) / (rms(v_s) temperature), rms(v) = sqrt(mean(v^2) + eps);
/// weights = softmax(l); out = sum_s weights_s v_s. (Kotodama specification §2.3)
struct DepthRoute {
    std::vector<BufferId> sources; // [n, width] each, 1 to 64 of them
    WeightId query;                // [width], the gain of the sources' norm multiplied in
    float eps = 1e-5f;
    ParamId temperature; // [1]; none: 1
    ParamId mask;        // [sources]: 0 removes a source before the softmax; none: all 1. All 0: out is 0
    BufferId weights;    // [n, sources]; none unless wanted
    BufferId out;        // [n, width]; none of the sources
};

/// What a sampler wants to know of a step's logits (logit_parts.h), of which it then reads a few: for each of
/// their parts the largest and two sums of e^x, at temperature 1 and at StepState::temperature. Where that is
/// below 0 nobody wants them, and they are unspecified.
struct SumLogits {
    BufferId logits; // [n, vocabulary]
    BufferId parts;  // [n, parts of the vocabulary, 3]
};

struct Op {
    std::string name; ///< where it stands, for errors and timings: "layers.0.mha.q"
    Guard when;
    std::variant<Embed, Norm, Linear, Gate, Append, Convolution, Rotate, AppendKeyValue, Attention, KeptShare,
                 Route, Mix, DepthRoute, SumLogits>
        body;
};

} // namespace ergo
