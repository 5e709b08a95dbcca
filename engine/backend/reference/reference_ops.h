// SPDX-License-Identifier: GPL-3.0-or-later
// The plain reference of every op: scalar float32, one row at a time, written to be read beside the fast
// kernels and to judge them. Pure functions; any thread. (MoA specification §6.2-6.8)
#pragma once

#include "engine/backend/op.h"

#include <cstdint>
#include <span>
#include <vector>

namespace ergo::reference {

using In = std::span<const float>; // an empty span stands for an operand that the op does not have
using Out = std::span<float>;

float activate(float x, Activation activation);
float sigmoid(float x);

/// out[c] = (in[c] - mean) / sqrt(variance + eps) * weight[c] + bias[c]; rms: mean 0.
void norm(Norm::Kind kind, float eps, In in, In weight, In bias, Out out);

/// out[o] = act(sum_i in[i] weight[o, i] + bias[o])
void linear(Activation activation, In in, In weight, In bias, Out out);

/// out[c] = act(a[c]) * b[c]
void gate(Activation activation, In a, In b, Out out);

/// history [>= t + 1, width]: the convolution's output at position t.
void convolution(Activation activation, In history, In weight, In bias, std::int64_t t, Out out);

/// out[h] = R (sqrt(diagonal_h) in[h or 0]); cos and sin [dim] are the tables' rows of the position.
void rotate(Rotation::Pairing pairing, std::int64_t heads, std::int64_t dim, In in, In diagonal, In cos,
            In sin, Out out);

/// out[b] = distance of head b's point from origin b, [balls]. `in` is the projection, `rotated` what
/// rotate() made.
void ball_distance(const Ball& ball, std::int64_t dim, In in, In rotated, In origin, In diagonal, Out out);

/// out[h, c] = in[h, c] * gain[c]
void apply_gain(std::int64_t dim, In in, In gain, Out out);

/// What attention reads for one row at position t. Keys and values hold `keys` positions, t among them.
struct AttentionInput {
    std::int64_t t = 0, keys = 0;
    In query;                         // [heads * dim]
    In query_distance;                // [heads], pairs test only
    In key_state, value_state;        // [keys, key_heads * dim], [keys, value_heads * value_dim]
    In distances;                     // [keys, heads or 1]
    In diagonal, alpha, mask, radius; // parameters
    In mass;                          // [heads], gravity only
};

/// What attention writes for one row; spans of rows nobody wants are empty.
struct AttentionOutput {
    Out out;                         // [heads * value_dim]
    Out logits, scores;              // [|rows.heads|, keys]
    Out maximum, sum, kept, entropy; // [heads]
    Out top_keys, top_weights;       // [heads * 8]
};

void attention(const Attention& op, const AttentionInput& in, const AttentionOutput& out);

/// Similarity of a query and a key of width dim; root_diagonal [dim] multiplies both, may be empty.
float score(const Attention& op, In query, In key, In root_diagonal);

/// distances [t + 1, heads or 1] -> out [heads]
void kept_share(const KeptShare& op, In distances, In radius, std::int64_t t, Out out);

struct RouteInput {
    In logits, offset, constant_offset, mask; // [paths]
    float temperature = 1, top_k = 1;
};
void route(const Route& op, const RouteInput& in, Out total, Out shares);

struct MixInput {
    std::vector<In> parts; // [width] each; those with share 0 are not read
    In shares, gate, constant_gate, layer_scale, residual;
};
void mix(const Mix& op, const MixInput& in, Out out);

struct DepthRouteInput {
    std::vector<In> sources; // [width] each
    In query;                // [width]
    In mask;                 // [sources]
    float temperature = 1;
};
/// `weights` may be empty.
void depth_route(const DepthRoute& op, const DepthRouteInput& in, Out weights, Out out);

} // namespace ergo::reference
