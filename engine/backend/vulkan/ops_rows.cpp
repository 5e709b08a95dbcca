// SPDX-License-Identifier: GPL-3.0-or-later
// Ops that work on each row alone: Embed, Norm, Gate, SumLogits. The Push structs mirror the kernels' push
// constants.
#include "engine/backend/logit_parts.h"
#include "engine/backend/vulkan/encoder.h"

namespace ergo::vulkan {

void encode(Encoder& encoder, const Embed& op) {
    const Weights::Matrix table = encoder.matrix(op.table);
    const std::uint32_t width = encoder.width(op.out);
    const Shape& shape = encoder.shape(op.table);
    encoder.read_rows_only(table.bytes, shape.at(0));
    struct Push {
        Header header;
        VkDeviceAddress table, to;
        std::uint32_t width, rows;
    } const push{encoder.header({op.out}), table.address, encoder.write(op.out), width,
                 static_cast<std::uint32_t>(shape.at(0))};
    encoder.dispatch("embed", {0, static_cast<std::uint32_t>(table.stored)}, push,
                     {Groups::cover(width, 64), encoder.row_groups(op.out), Groups::fixed(1)});
}

void encode(Encoder& encoder, const Norm& op) {
    struct Push {
        Header header;
        VkDeviceAddress from, to, weight, bias;
        std::uint32_t width;
        float eps;
    } const push{encoder.header({op.out, op.in}),
                 encoder.read(op.in),
                 encoder.write(op.out),
                 encoder.floats(op.weight),
                 encoder.floats(op.bias),
                 encoder.width(op.out) / static_cast<std::uint32_t>(op.heads),
                 op.eps};
    encoder.dispatch(
        "norm", {op.kind == Norm::Kind::rms, static_cast<bool>(op.bias)}, push,
        {Groups::fixed(static_cast<std::uint64_t>(op.heads)), encoder.row_groups(op.out), Groups::fixed(1)});
}

void encode(Encoder& encoder, const Gate& op) {
    struct Push {
        Header header;
        VkDeviceAddress a, b, to;
        std::uint32_t width, a_width, b_width, a_offset, b_offset;
    } const push{encoder.header({op.out, op.a, op.b}),
                 encoder.read(op.a),
                 encoder.read(op.b),
                 encoder.write(op.out),
                 encoder.width(op.out),
                 encoder.width(op.a),
                 op.b ? encoder.width(op.b) : 0,
                 static_cast<std::uint32_t>(op.a_offset),
                 static_cast<std::uint32_t>(op.b_offset)};
    encoder.dispatch("gate", {static_cast<std::uint32_t>(op.activation), static_cast<bool>(op.b)}, push,
                     {Groups::cover(push.width, 64), encoder.row_groups(op.out), Groups::fixed(1)});
}

void encode(Encoder& encoder, const SumLogits& op) {
    struct Push {
        Header header;
        VkDeviceAddress logits, parts;
        std::uint32_t vocabulary;
    } const push{encoder.header({op.parts, op.logits}), encoder.read(op.logits), encoder.write(op.parts),
                 encoder.width(op.logits)};
    encoder.dispatch("sum_logits", {}, push,
                     {Groups::fixed(static_cast<std::uint64_t>(logit_parts(push.vocabulary))),
                      encoder.row_groups(op.parts), Groups::fixed(1)});
}

} // namespace ergo::vulkan
