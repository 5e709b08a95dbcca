// SPDX-License-Identifier: GPL-3.0-or-later
// Rotate, AppendKeyValue, Attention with its row captures, KeptShare. The Push structs mirror the kernels'.
#include "engine/backend/vulkan/attention_parts.h"
#include "engine/backend/vulkan/encoder.h"

#include <numeric>

namespace ergo::vulkan {

namespace {

/// One dispatch of rotate.comp.
struct Turn {
    VkDeviceAddress from = 0, to = 0;
    std::uint32_t heads = 1, heads_in = 1, dim = 0;
    const Rotation* rotation = nullptr; // none: no rotation
    WeightId gain;
    ParamId diagonal;
    bool at_position = false;
    Groups rows = Groups::rows();
};

void encode_turn(Encoder& encoder, const Turn& turn, const Header& header) {
    std::uint32_t pairing = 0;
    if (turn.rotation && turn.rotation->cos) {
        pairing = turn.rotation->pairing == Rotation::Pairing::half ? 1 : 2;
    }
    struct Push {
        Header header;
        VkDeviceAddress from, to, cosine, sine, gain;
        std::uint32_t diagonal, heads, heads_in, dim;
    } const push{header,
                 turn.from,
                 turn.to,
                 pairing ? encoder.table(turn.rotation->cos) : 0,
                 pairing ? encoder.table(turn.rotation->sin) : 0,
                 encoder.table(turn.gain),
                 encoder.param(turn.diagonal),
                 turn.heads,
                 turn.heads_in,
                 turn.dim};
    encoder.dispatch("rotate",
                     {pairing, static_cast<bool>(turn.gain), turn.at_position,
                      encoder.param_rows(turn.diagonal, turn.dim) > 1},
                     push, {Groups::cover(turn.heads * turn.dim, 64), turn.rows, Groups::fixed(1)});
}

/// One dispatch of ball.comp.
struct BallPoints {
    VkDeviceAddress points = 0, to = 0;
    std::uint32_t point_heads = 1, balls = 1, dim = 0;
    bool from_position = false, to_position = false;
    Groups rows = Groups::rows();
};

void encode_ball(Encoder& encoder, const Ball& ball, const BallPoints& points, const Header& header) {
    struct Push {
        Header header;
        VkDeviceAddress points, to;
        std::uint32_t origin, diagonal, origin_rows, diagonal_rows, point_heads, balls, dim;
    } const push{header,
                 points.points,
                 points.to,
                 encoder.param(ball.origin),
                 encoder.param(ball.diagonal),
                 encoder.param_rows(ball.origin, points.dim),
                 encoder.param_rows(ball.diagonal, points.dim),
                 points.point_heads,
                 points.balls,
                 points.dim};
    encoder.dispatch("ball", {points.from_position, points.to_position}, push,
                     {Groups::cover(points.balls, 64), points.rows, Groups::fixed(1)});
}

/// The addresses and heads of row captures. Mirrors Capture in shaders/attention.glsl; the heads follow.
struct Capture {
    VkDeviceAddress targets[8];
    VkDeviceAddress state, parts;
    std::uint32_t present;
    std::uint32_t wanted_count;
};

/// Push constants of the attention kernels.
struct AttentionPush {
    Header header;
    VkDeviceAddress query, query_distance, keys, values, distances, to, capture;
    std::uint32_t alpha, mask, diagonal, radius, window;
    float scale, softness;
    std::uint32_t mass; // gravity only, like the two after it
    float softening, distance_scale;
};

std::vector<std::uint32_t> attention_constants(const Encoder& encoder, const Attention& op, bool captured,
                                               std::uint32_t parts) {
    const bool ball = op.ball.mode != Ball::Mode::off;
    const bool pairs = ball && op.ball.test == Ball::Test::pairs;
    return {static_cast<std::uint32_t>(op.heads),
            static_cast<std::uint32_t>(op.key_heads),
            static_cast<std::uint32_t>(op.dim),
            static_cast<std::uint32_t>(op.value_heads),
            static_cast<std::uint32_t>(op.value_dim),
            static_cast<std::uint32_t>(op.score),
            encoder.param_rows(op.diagonal, op.dim) > 1,
            static_cast<std::uint32_t>(op.ball.mode),
            pairs,
            static_cast<std::uint32_t>(op.ball.fallback),
            ball ? encoder.width(op.distances) : 1,
            encoder.param_rows(op.ball.radius, 1) > 1,
            captured,
            op.gravity.clamp,
            op.gravity.squared,
            parts};
}

/// Addresses for a dispatch that reads what attention reads.
void read_inputs(Encoder& encoder, const Attention& op, AttentionPush& push) {
    const bool ball = op.ball.mode != Ball::Mode::off;
    push.header = encoder.header({op.out, op.query, op.query_distance});
    push.query = encoder.read(op.query);
    push.query_distance = ball && op.ball.test == Ball::Test::pairs ? encoder.read(op.query_distance) : 0;
    push.keys = encoder.read(op.keys);
    push.values = encoder.read(op.values);
    push.distances = ball ? encoder.read(op.distances) : 0;
}

} // namespace

bool is_captured(const RowRequest& rows) {
    return rows.logits || rows.scores || rows.maximum || rows.sum || rows.kept || rows.entropy ||
           rows.top_keys || rows.top_weights;
}

std::uint64_t capture_state_bytes(std::int64_t max_rows, std::int32_t heads) {
    return static_cast<std::uint64_t>(max_rows) * static_cast<std::uint64_t>(heads) * 3 * sizeof(float);
}

void encode(Encoder& encoder, const Rotate& op) {
    Turn turn;
    turn.from = encoder.read(op.in);
    turn.to = encoder.write(op.out);
    turn.heads = static_cast<std::uint32_t>(op.heads);
    turn.heads_in = static_cast<std::uint32_t>(op.heads_in);
    turn.dim = static_cast<std::uint32_t>(op.dim);
    turn.rotation = &op.rotation;
    turn.diagonal = op.diagonal;
    turn.rows = encoder.row_groups(op.out);
    encode_turn(encoder, turn, encoder.header({op.out, op.in}));
    if (op.distance && op.ball.mode != Ball::Mode::off) {
        BallPoints points;
        points.points = encoder.read(op.ball.unrotated ? op.in : op.out);
        points.to = encoder.write(op.distance);
        points.point_heads = op.ball.unrotated ? turn.heads_in : turn.heads;
        points.balls = encoder.width(op.distance);
        points.dim = turn.dim;
        points.rows = turn.rows;
        encode_ball(encoder, op.ball, points,
                    encoder.header({op.distance, op.ball.unrotated ? op.in : op.out}));
    }
}

void encode_balls(Encoder& encoder, const AppendKeyValue& op) {
    if (!op.distances || op.ball.mode == Ball::Mode::off) {
        return;
    }
    BallPoints points;
    points.points = op.ball.unrotated ? encoder.read(op.key) : encoder.read(op.keys);
    points.to = encoder.write(op.distances);
    points.point_heads =
        op.ball.unrotated ? static_cast<std::uint32_t>(op.heads_in) : static_cast<std::uint32_t>(op.heads);
    points.balls = encoder.width(op.distances);
    points.dim = static_cast<std::uint32_t>(op.dim);
    points.from_position = !op.ball.unrotated;
    points.to_position = true;
    encode_ball(encoder, op.ball, points, encoder.header({{}, op.key}));
}

void encode(Encoder& encoder, const AppendKeyValue& op) {
    Turn key;
    key.from = encoder.read(op.key);
    key.to = encoder.write(op.keys);
    key.heads = static_cast<std::uint32_t>(op.heads);
    key.heads_in = static_cast<std::uint32_t>(op.heads_in);
    key.dim = static_cast<std::uint32_t>(op.dim);
    key.rotation = &op.rotation;
    key.diagonal = op.diagonal;
    key.at_position = true;
    encode_turn(encoder, key, encoder.header({{}, op.key}));

    Turn value;
    value.from = encoder.read(op.value);
    value.to = encoder.write(op.values);
    value.heads = value.heads_in = static_cast<std::uint32_t>(op.value_heads);
    value.dim = static_cast<std::uint32_t>(op.value_dim);
    value.gain = op.rotation.gain;
    value.at_position = true;
    encode_turn(encoder, value, encoder.header({{}, op.value}));
    encode_balls(encoder, op);
}

void encode(Encoder& encoder, const Attention& op) {
    AttentionPush push{};
    encoder.looks_back(static_cast<std::uint64_t>(op.window));
    read_inputs(encoder, op, push);
    push.alpha = encoder.param(op.alpha);
    push.mask = encoder.param(op.mask);
    push.diagonal = encoder.param(op.diagonal);
    push.radius = encoder.param(op.ball.radius);
    push.window = static_cast<std::uint32_t>(op.window);
    push.scale = op.scale;
    push.softness = op.ball.softness;
    push.mass = encoder.param(op.gravity.mass);
    push.softening = op.gravity.softening;
    push.distance_scale = op.gravity.distance_scale;

    const RowRequest& rows = op.rows;
    // In the order of the bits of Capture.present.
    const BufferId targets[8] = {rows.maximum, rows.sum,    rows.kept,     rows.entropy,
                                 rows.logits,  rows.scores, rows.top_keys, rows.top_weights};
    std::vector<std::uint32_t> wanted(rows.heads.begin(), rows.heads.end());
    if (wanted.empty()) {
        wanted.resize(static_cast<std::size_t>(op.heads));
        std::iota(wanted.begin(), wanted.end(), 0u);
    }
    Capture capture{};
    for (std::uint32_t i = 0; i < 8; ++i) {
        capture.targets[i] = i < 4 ? encoder.write(targets[i]) : encoder.peek(targets[i]);
        capture.present |= targets[i] ? 1u << i : 0;
    }
    const std::int64_t max_rows = encoder.plan().max_rows, capacity = encoder.capacity();
    const std::uint32_t parts = encoder.as_planned() ? 1 : attention_parts(op, max_rows, capacity);
    Slice state, shared;
    if (capture.present) {
        state = encoder.scratch(capture_state_bytes(max_rows, op.heads));
        capture.state = encoder.access_scratch(state, true);
    }
    if (parts > 1) {
        shared = encoder.scratch(attention_part_bytes(op, max_rows, capacity));
        capture.parts = encoder.access_scratch(shared, true);
    }
    if (capture.present || parts > 1) {
        capture.wanted_count = static_cast<std::uint32_t>(wanted.size());
        std::vector<std::byte> bytes(sizeof(Capture) + wanted.size() * sizeof(std::uint32_t));
        std::memcpy(bytes.data(), &capture, sizeof(Capture));
        std::memcpy(bytes.data() + sizeof(Capture), wanted.data(), wanted.size() * sizeof(std::uint32_t));
        push.capture = encoder.argument(bytes);
    }
    push.to = encoder.write(op.out);
    const auto constants = attention_constants(encoder, op, capture.present != 0, parts);
    const Groups heads = Groups::fixed(static_cast<std::uint64_t>(op.heads));
    encoder.dispatch(
        "attention", constants, push,
        {heads, encoder.row_groups(op.out), parts > 1 ? Groups::keys(part_keys, parts) : Groups::fixed(1)});
    if (parts > 1) {
        encoder.counted_before();
        read_inputs(encoder, op, push);
        encoder.access_scratch(shared, false);
        for (std::uint32_t i = 0; i < 4; ++i) {
            encoder.write(targets[i]);
        }
        if (capture.present) {
            encoder.access_scratch(state, true);
        }
        encoder.write(op.out);
        encoder.dispatch("attention_join", constants, push,
                         {heads, encoder.row_groups(op.out), Groups::fixed(1)});
    }
    if (rows.logits || rows.scores) {
        read_inputs(encoder, op, push);
        encoder.access_scratch(state, false);
        encoder.write(rows.logits);
        encoder.write(rows.scores);
        encoder.dispatch("attention_rows", constants, push,
                         {Groups::keys(64), Groups::fixed(wanted.size()), Groups::rows()});
    }
    if (rows.top_keys || rows.top_weights) {
        read_inputs(encoder, op, push);
        encoder.access_scratch(state, false);
        encoder.write(rows.top_keys);
        encoder.write(rows.top_weights);
        encoder.dispatch("attention_top", constants, push,
                         {heads, encoder.row_groups(op.out), Groups::fixed(1)});
    }
}

void encode(Encoder& encoder, const KeptShare& op) {
    struct Push {
        Header header;
        VkDeviceAddress distances, to;
        std::uint32_t radius, radius_rows, heads, balls, window;
    } const push{encoder.header({op.out}),
                 encoder.read(op.distances),
                 encoder.write(op.out),
                 encoder.param(op.ball.radius),
                 encoder.param_rows(op.ball.radius, 1),
                 static_cast<std::uint32_t>(op.heads),
                 encoder.width(op.distances),
                 static_cast<std::uint32_t>(op.window)};
    encoder.looks_back(push.window);
    encoder.dispatch(
        "kept_share", {static_cast<std::uint32_t>(op.ball.fallback)}, push,
        {Groups::fixed(static_cast<std::uint64_t>(op.heads)), encoder.row_groups(op.out), Groups::fixed(1)});
}

} // namespace ergo::vulkan
