// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/reference/reference_ops.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ergo::reference {

namespace {

float root(float m) {
    return std::sqrt(std::max(m, 0.0f));
}

// Row `index` of a table of rows of `width`, or its only row.
In row_or_only(In table, std::size_t width, std::size_t index) {
    return table.subspan(table.size() == width ? 0 : index * width, width);
}

// r has the better claim to a place in the top k; NaN loses to every number.
bool beats(float r, float best) {
    return r > best || (std::isnan(best) && !std::isnan(r));
}

} // namespace

float sigmoid(float x) {
    const float e = std::exp(-std::abs(x));
    return x >= 0 ? 1 / (1 + e) : e / (1 + e);
}

float activate(float x, Activation activation) {
    switch (activation) {
    case Activation::silu:
        return x * sigmoid(x);
    case Activation::gelu:
        return 0.5f * x * (1 + std::erf(x / std::numbers::sqrt2_v<float>));
    case Activation::gelu_tanh: {
        const float scale = std::sqrt(2 / std::numbers::pi_v<float>);
        return 0.5f * x * (1 + std::tanh(scale * (x + 0.044715f * x * x * x)));
    }
    case Activation::relu:
        return x > 0 || std::isnan(x) ? x : 0;
    case Activation::sigmoid:
        return sigmoid(x);
    case Activation::identity:
        break;
    }
    return x;
}

void norm(Norm::Kind kind, float eps, In in, In weight, In bias, Out out) {
    const auto width = static_cast<float>(in.size());
    float mean = 0;
    if (kind == Norm::Kind::layer) {
        for (const float x : in) {
            mean += x;
        }
        mean /= width;
    }
    float square = 0;
    for (const float x : in) {
        square += (x - mean) * (x - mean);
    }
    const float scale = 1 / std::sqrt(square / width + eps);
    for (std::size_t c = 0; c < in.size(); ++c) {
        out[c] = (in[c] - mean) * scale * weight[c] + (bias.empty() ? 0 : bias[c]);
    }
}

void linear(Activation activation, In in, In weight, In bias, Out out) {
    for (std::size_t o = 0; o < out.size(); ++o) {
        float sum = 0;
        for (std::size_t i = 0; i < in.size(); ++i) {
            sum += in[i] * weight[o * in.size() + i];
        }
        out[o] = activate(sum + (bias.empty() ? 0 : bias[o]), activation);
    }
}

void gate(Activation activation, In a, In b, Out out) {
    for (std::size_t c = 0; c < out.size(); ++c) {
        out[c] = activate(a[c], activation) * (b.empty() ? 1 : b[c]);
    }
}

void convolution(Activation activation, In history, In weight, In bias, std::int64_t t, Out out) {
    const std::size_t width = out.size();
    const auto taps = static_cast<std::int64_t>(weight.size() / width);
    for (std::size_t c = 0; c < width; ++c) {
        float sum = bias.empty() ? 0 : bias[c];
        for (std::int64_t i = 0; i < taps; ++i) {
            const std::int64_t position = t - (taps - 1) + i;
            if (position >= 0) {
                sum += weight[c * static_cast<std::size_t>(taps) + static_cast<std::size_t>(i)] *
                       history[static_cast<std::size_t>(position) * width + c];
            }
        }
        out[c] = activate(sum, activation);
    }
}

void rotate(Rotation::Pairing pairing, std::int64_t heads, std::int64_t dim, In in, In diagonal, In cos,
            In sin, Out out) {
    const auto d = static_cast<std::size_t>(dim);
    std::vector<float> x(d);
    for (std::size_t h = 0; h < static_cast<std::size_t>(heads); ++h) {
        const In head = row_or_only(in, d, h);
        for (std::size_t c = 0; c < d; ++c) {
            x[c] = head[c] * (diagonal.empty() ? 1 : root(row_or_only(diagonal, d, h)[c]));
        }
        const Out y = out.subspan(h * d, d);
        if (cos.empty()) {
            std::copy(x.begin(), x.end(), y.begin());
            continue;
        }
        for (std::size_t i = 0; i < d / 2; ++i) {
            const std::size_t a = pairing == Rotation::Pairing::half ? i : 2 * i;
            const std::size_t b = pairing == Rotation::Pairing::half ? i + d / 2 : 2 * i + 1;
            y[a] = x[a] * cos[a] - x[b] * sin[a];
            y[b] = x[b] * cos[b] + x[a] * sin[b];
        }
    }
}

void ball_distance(const Ball& ball, std::int64_t dim, In in, In rotated, In origin, In diagonal, Out out) {
    const auto d = static_cast<std::size_t>(dim);
    for (std::size_t b = 0; b < out.size(); ++b) {
        const In point = row_or_only(ball.unrotated ? in : rotated, d, b);
        const In centre = row_or_only(origin, d, b);
        float sum = 0;
        for (std::size_t c = 0; c < d; ++c) {
            const float scale = diagonal.empty() ? 1 : root(row_or_only(diagonal, d, b)[c]);
            const float difference = (point[c] - centre[c]) * scale;
            sum += difference * difference;
        }
        out[b] = std::sqrt(sum);
    }
}

void apply_gain(std::int64_t dim, In in, In gain, Out out) {
    for (std::size_t i = 0; i < in.size(); ++i) {
        out[i] = in[i] * (gain.empty() ? 1 : gain[i % static_cast<std::size_t>(dim)]);
    }
}

void route(const Route& op, const RouteInput& in, Out total, Out shares) {
    const std::size_t paths = in.logits.size();
    std::vector<float> r(paths);
    std::vector<bool> present(paths), kept(paths, false);
    for (std::size_t p = 0; p < paths; ++p) {
        const In& offset = in.offset.empty() ? in.constant_offset : in.offset;
        r[p] = in.logits[p] + (offset.empty() ? 0 : op.tanh_offset ? std::tanh(offset[p]) : offset[p]);
        present[p] = in.mask.empty() || in.mask[p] != 0;
    }
    const auto wanted =
        static_cast<std::int64_t>(std::lround(std::clamp(in.top_k, 1.0f, static_cast<float>(paths))));
    for (std::int64_t i = 0; i < wanted; ++i) {
        std::size_t best = paths;
        for (std::size_t p = 0; p < paths;
             ++p) { // strictly better only: of equal values the lower index stays
            if (present[p] && !kept[p] && (best == paths || beats(r[p], r[best]))) {
                best = p;
            }
        }
        if (best < paths) {
            kept[best] = true;
        }
    }
    const auto& counted = op.renormalise ? kept : present;
    float top = -INFINITY;
    for (std::size_t p = 0; p < paths; ++p) {
        if (counted[p]) {
            top = std::max(top, r[p] / in.temperature);
        }
    }
    float sum = 0;
    for (std::size_t p = 0; p < paths; ++p) {
        sum += counted[p] ? std::exp(r[p] / in.temperature - top) : 0;
    }
    for (std::size_t p = 0; p < paths; ++p) {
        shares[p] = kept[p] ? std::exp(r[p] / in.temperature - top) / sum : 0;
        if (!total.empty()) {
            total[p] = r[p];
        }
    }
}

void mix(const Mix& op, const MixInput& in, Out out) {
    const std::size_t width = out.size(), parts = op.parts.size();
    for (std::size_t c = 0; c < width; ++c) {
        float sum = 0;
        for (std::size_t p = 0; p < parts; ++p) {
            const float share = in.shares.empty() ? 1 : in.shares[p];
            if (share == 0) {
                continue; // the part's row may be anything
            }
            float y = in.parts[p][c];
            if (!in.layer_scale.empty()) {
                y *= in.layer_scale[in.layer_scale.size() == width ? c : p * width + c];
            }
            if (!in.gate.empty()) {
                y *= 2 * sigmoid(in.gate[op.gate_width == 1 ? p : p * width + c]);
            } else if (!in.constant_gate.empty()) {
                y *= 2 * sigmoid(in.constant_gate[in.constant_gate.size() == parts ? p : p * width + c]);
            }
            sum += share * y;
        }
        out[c] = (in.residual.empty() ? 0 : in.residual[c]) + sum;
    }
}

void depth_route(const DepthRoute& op, const DepthRouteInput& in, Out weights, Out out) {
    const std::size_t sources = in.sources.size(), width = out.size();
    std::vector<float> logits(sources), alpha(sources, 0);
    float top = -INFINITY, sum = 0;
    for (std::size_t s = 0; s < sources; ++s) {
        float square = 0, dot = 0;
        for (std::size_t c = 0; c < width; ++c) {
            square += in.sources[s][c] * in.sources[s][c];
            dot += in.sources[s][c] * in.query[c];
        }
        logits[s] = dot / std::sqrt(square / static_cast<float>(width) + op.eps) / in.temperature;
        const bool present = in.mask.empty() || in.mask[s] != 0;
        logits[s] = present ? logits[s] : -INFINITY;
        top = std::max(top, logits[s]);
    }
    for (std::size_t s = 0; s < sources; ++s) {
        alpha[s] = logits[s] == -INFINITY ? 0 : std::exp(logits[s] - top);
        sum += alpha[s];
    }
    for (float& a : alpha) {
        a = sum == 0 ? 0 : a / sum;
    }
    for (std::size_t c = 0; c < width; ++c) {
        float mixed = 0;
        for (std::size_t s = 0; s < sources; ++s) {
            mixed += alpha[s] == 0 ? 0 : alpha[s] * in.sources[s][c];
        }
        out[c] = mixed;
    }
    if (!weights.empty()) {
        std::copy(alpha.begin(), alpha.end(), weights.begin());
    }
}

} // namespace ergo::reference
