// SPDX-License-Identifier: GPL-3.0-or-later
// Rotate, AppendKeyValue and Append joined: every head of every one is a workgroup of turns.comp. The structs
// mirror the kernel's.
#include "engine/backend/vulkan/encoder.h"

namespace ergo::vulkan {

namespace {

struct TurnRow {
    VkDeviceAddress from, to, cosine, sine, gain, norm;
    std::uint32_t diagonal, heads, heads_in, dim, first, flags;
    float eps;
    std::uint32_t unused;
};

// Bits of TurnRow::flags beside the pairing in the lowest two.
constexpr std::uint32_t at_position = 4, diagonal_per_head = 8, gained = 16, normed = 32;

std::uint32_t pairing_of(const Rotation& rotation) {
    return !rotation.cos ? 0 : rotation.pairing == Rotation::Pairing::half ? 1 : 2;
}

void add_rotation(Encoder& encoder, TurnRow& row, const Rotation& rotation, ParamId diagonal) {
    row.cosine = encoder.table(rotation.cos);
    row.sine = encoder.table(rotation.sin);
    row.diagonal = encoder.param(diagonal);
    row.flags |= pairing_of(rotation);
    row.flags |= encoder.param_rows(diagonal, row.dim) > 1 ? diagonal_per_head : 0;
}

void add_norm(Encoder& encoder, TurnRow& row, const Norm* norm) {
    if (norm) {
        row.norm = encoder.floats(norm->weight);
        row.eps = norm->eps;
        row.flags |= normed;
    }
}

TurnRow row_of(std::int32_t heads, std::int32_t heads_in, std::int32_t dim) {
    TurnRow row{};
    row.diagonal = no_param;
    row.heads = static_cast<std::uint32_t>(heads);
    row.heads_in = static_cast<std::uint32_t>(heads_in);
    row.dim = static_cast<std::uint32_t>(dim);
    return row;
}

void add(Encoder& encoder, std::vector<TurnRow>& rows, const Rotate& op, const Norm* norm) {
    TurnRow row = row_of(op.heads, op.heads_in, op.dim);
    row.from = encoder.read(op.in);
    row.to = encoder.write(op.out);
    add_rotation(encoder, row, op.rotation, op.diagonal);
    add_norm(encoder, row, norm);
    rows.push_back(row);
}

void add(Encoder& encoder, std::vector<TurnRow>& rows, const AppendKeyValue& op, const Norm* norm) {
    TurnRow key = row_of(op.heads, op.heads_in, op.dim);
    key.from = encoder.read(op.key);
    key.to = encoder.write(op.keys);
    key.flags = at_position;
    add_rotation(encoder, key, op.rotation, op.diagonal);
    add_norm(encoder, key, norm);
    rows.push_back(key);

    TurnRow value = row_of(op.value_heads, op.value_heads, op.value_dim);
    value.from = encoder.read(op.value);
    value.to = encoder.write(op.values);
    value.gain = encoder.table(op.rotation.gain);
    value.flags = at_position | (op.rotation.gain ? gained : 0);
    rows.push_back(value);
}

void add(Encoder& encoder, std::vector<TurnRow>& rows, const Append& op) {
    // Any number of heads does for a copy: enough of them to occupy the device.
    constexpr std::int32_t usual = 64;
    const auto width = static_cast<std::int32_t>(encoder.width(op.in));
    const std::int32_t dim = width % usual == 0 ? usual : width;
    TurnRow row = row_of(width / dim, width / dim, dim);
    row.from = encoder.read(op.in);
    row.to = encoder.write(op.state);
    row.flags = at_position;
    rows.push_back(row);
}

} // namespace

void encode(Encoder& encoder, const Turns& turns) {
    std::vector<TurnRow> rows;
    const Header header = encoder.header({});
    for (const Turns::One& one : turns.all) {
        if (one.rotate) {
            add(encoder, rows, *one.rotate, one.norm);
        } else if (one.key_value) {
            add(encoder, rows, *one.key_value, one.norm);
        } else {
            add(encoder, rows, *one.append);
        }
    }
    std::uint32_t heads = 0;
    for (TurnRow& row : rows) {
        row.first = heads;
        heads += row.heads;
    }
    struct Push {
        Header header;
        VkDeviceAddress turns;
    } const push{header, encoder.argument(std::as_bytes(std::span(rows)))};
    encoder.dispatch("turns", {}, push, {Groups::fixed(heads), Groups::rows(), Groups::fixed(1)});
    for (const Turns::One& one : turns.all) {
        if (one.key_value) {
            encode_balls(encoder, *one.key_value);
        }
    }
}

} // namespace ergo::vulkan
