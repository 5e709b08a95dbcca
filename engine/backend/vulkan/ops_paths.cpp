// SPDX-License-Identifier: GPL-3.0-or-later
// Ops of routed paths and convolutions: Route, Mix, DepthRoute, Append, Convolution. The Push structs mirror
// the kernels'.
#include "engine/backend/vulkan/encoder.h"

namespace ergo::vulkan {

namespace {
constexpr std::size_t most_parts = 26; // bits 4 to 29 of Header::row_mask
} // namespace

void encode(Encoder& encoder, const Route& op) {
    const auto paths = static_cast<std::uint32_t>(op.paths);
    struct Push {
        Header header;
        VkDeviceAddress logits, offset, total, shares;
        std::uint32_t temperature, top_k, mask;
    } const push{encoder.header({op.shares, op.total, op.logits, op.offset}),
                 encoder.read(op.logits),
                 op.offset ? encoder.read(op.offset) : encoder.floats(op.constant_offset),
                 encoder.write(op.total),
                 encoder.write(op.shares),
                 encoder.param(op.temperature),
                 encoder.param(op.top_k),
                 encoder.param(op.mask)};
    const std::uint32_t offset = op.offset ? 1 : (op.constant_offset ? 2 : 0);
    encoder.dispatch("route", {paths, offset, op.tanh_offset, op.renormalise, static_cast<bool>(op.total)},
                     push, {encoder.row_groups(op.shares, 64), Groups::fixed(1), Groups::fixed(1)});
}

void encode(Encoder& encoder, const Mix& op, const Norm* norm) {
    if (op.parts.size() > most_parts) {
        encoder.unsupported(std::to_string(op.parts.size()) + " parts, at most " +
                            std::to_string(most_parts) + " are possible");
    }
    std::vector<VkDeviceAddress> parts;
    std::vector<BufferId> rows{op.out, op.shares, op.gate, op.residual};
    for (const BufferId part : op.parts) {
        parts.push_back(encoder.read(part));
        rows.push_back(part);
    }
    const std::uint32_t width = encoder.width(op.out);
    const auto count = static_cast<std::uint32_t>(parts.size());
    std::uint32_t gate = 0;
    bool gate_wide = false;
    if (op.gate) {
        gate = 1;
        gate_wide = op.gate_width != 1;
    } else if (op.constant_gate) {
        gate = 2;
        gate_wide = element_count(encoder.shape(op.constant_gate)) != count;
    }
    std::uint32_t scale = 0;
    if (op.layer_scale) {
        scale = element_count(encoder.shape(op.layer_scale)) == width && count != 1 ? 2 : 1;
    }
    struct Push {
        Header header;
        VkDeviceAddress parts, shares, gate, layer_scale, residual, to, norm, norm_bias, normed;
        std::uint32_t width;
        float eps;
    } const push{encoder.header(rows),
                 encoder.argument(std::as_bytes(std::span(parts))),
                 encoder.read(op.shares),
                 op.gate ? encoder.read(op.gate) : encoder.floats(op.constant_gate),
                 encoder.floats(op.layer_scale),
                 encoder.read(op.residual),
                 encoder.write(op.out),
                 norm ? encoder.floats(norm->weight) : 0,
                 norm ? encoder.floats(norm->bias) : 0,
                 norm ? encoder.write(norm->out) : 0,
                 width,
                 norm ? norm->eps : 0};
    // NORM in shaders/mix.comp
    const std::uint32_t kind = !norm ? 0 : norm->kind == Norm::Kind::rms ? 1 : 2;
    encoder.dispatch(
        "mix",
        {count, static_cast<bool>(op.shares), gate, gate_wide, scale, static_cast<bool>(op.residual), kind,
         norm && norm->bias},
        push,
        {norm ? Groups::fixed(1) : Groups::cover(width, 64), encoder.row_groups(op.out), Groups::fixed(1)});
}

void encode(Encoder& encoder, const DepthRoute& op, const Norm* norm) {
    std::vector<VkDeviceAddress> sources;
    std::array<std::uint32_t, 2> last_rows{}; // bit s: source s holds the last row only
    for (std::size_t s = 0; s < op.sources.size(); ++s) {
        sources.push_back(encoder.read(op.sources[s]));
        last_rows[s / 32] |= encoder.is_last_row(op.sources[s]) ? 1u << s % 32 : 0;
    }
    const auto count = static_cast<std::uint32_t>(sources.size());
    struct Push {
        Header header;
        VkDeviceAddress sources, query, weights, to;
        std::uint32_t last_rows[2], temperature, mask, width;
        float eps;
        VkDeviceAddress norm, normed;
        float norm_eps;
    } const push{encoder.header({op.out}),
                 encoder.argument(std::as_bytes(std::span(sources))),
                 encoder.floats(op.query),
                 encoder.write(op.weights),
                 encoder.write(op.out),
                 {last_rows[0], last_rows[1]},
                 encoder.param(op.temperature),
                 encoder.param(op.mask),
                 encoder.width(op.out),
                 op.eps,
                 norm ? encoder.floats(norm->weight) : 0,
                 norm ? encoder.write(norm->out) : 0,
                 norm ? norm->eps : 0};
    encoder.dispatch("depth_route", {count, static_cast<bool>(op.weights), norm != nullptr}, push,
                     {Groups::fixed(1), encoder.row_groups(op.out), Groups::fixed(1)});
}

void encode(Encoder& encoder, const Append& op) {
    const std::uint32_t width = encoder.width(op.in);
    // rotate.comp without a rotation: a copy to the absolute position.
    struct Push {
        Header header;
        VkDeviceAddress from, to, cosine, sine, gain;
        std::uint32_t diagonal, heads, heads_in, dim;
    } const push{encoder.header({{}, op.in}),
                 encoder.read(op.in),
                 encoder.write(op.state),
                 0,
                 0,
                 0,
                 no_param,
                 1,
                 1,
                 width};
    encoder.dispatch("rotate", {0, false, true, false}, push,
                     {Groups::cover(width, 64), Groups::rows(), Groups::fixed(1)});
}

void encode(Encoder& encoder, const Convolution& op) {
    struct Push {
        Header header;
        VkDeviceAddress history, weight, bias, to;
        std::uint32_t width, taps;
    } const push{encoder.header({op.out}),
                 encoder.read(op.history),
                 encoder.floats(op.weight),
                 encoder.floats(op.bias),
                 encoder.write(op.out),
                 encoder.width(op.out),
                 static_cast<std::uint32_t>(encoder.shape(op.weight).at(1))};
    encoder.looks_back(push.taps);
    encoder.dispatch("convolution", {static_cast<std::uint32_t>(op.activation), static_cast<bool>(op.bias)},
                     push, {Groups::cover(push.width, 64), encoder.row_groups(op.out), Groups::fixed(1)});
}

} // namespace ergo::vulkan
