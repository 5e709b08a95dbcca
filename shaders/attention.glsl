// SPDX-License-Identifier: GPL-3.0-or-later
// What the attention kernels share: score, logit and ball test of one query head against one key (MoA
// specification §6.5). A workgroup works for one row and one query head.
#include "common.glsl"
#include "reduce.glsl"

layout(constant_id = 0) const uint HEADS = 1;
layout(constant_id = 1) const uint KEY_HEADS = 1;
layout(constant_id = 2) const uint DIM = 8;
layout(constant_id = 3) const uint VALUE_HEADS = 1;
layout(constant_id = 4) const uint VALUE_DIM = 8;
layout(constant_id = 5) const uint SCORE = 0; // 0: dot, 1: negative squared distance, 2: cosine, 3: gravity
layout(constant_id = 6) const bool DIAGONAL_PER_HEAD = false;
layout(constant_id = 7) const uint MODE = 0; // 0: no ball, 1: hard, 2: soft
layout(constant_id = 8) const bool PAIRS = false;
layout(constant_id = 9) const uint FALLBACK = 0; // 0: unpruned, 1: self, 2: zero
layout(constant_id = 10) const uint BALLS = 1; // columns of `distances`
layout(constant_id = 11) const bool RADIUS_PER_HEAD = false;
layout(constant_id = 12) const bool CAPTURED = false; // `capture` is there
layout(constant_id = 13) const bool CLAMP = true;        // gravity: the squared distance is never below 0
layout(constant_id = 14) const bool SQUARED_MASS = true; // gravity
layout(constant_id = 15) const uint PARTS = 1; // workgroups that may share a row; `capture.parts` is there above 1

const uint PART_KEYS = 256; // fewer are not worth a workgroup; mirrors part_keys in ops_attention.cpp

// Addresses of row captures, each or none (its bit in `present` is 0). Mirrors Capture in ops_attention.cpp.
layout(buffer_reference, std430, buffer_reference_align = 8) readonly buffer Capture {
    Floats maximum; // bit 0: [rows, heads]
    Floats sum;     // bit 1
    Floats kept;    // bit 2
    Floats entropy; // bit 3
    Floats logits;  // bit 4: [rows, |wanted|, keys]
    Floats scores;  // bit 5
    Floats top_keys;    // bit 6: [rows, heads * 8]
    Floats top_weights; // bit 7
    Floats state;   // when CAPTURED: [rows, heads, 3]: maximum, sum, 1 when the row fell back
    Floats parts;   // when PARTS > 1: [rows, heads, PARTS, 4 + value_dim]: maximum, sum, moment, kept, weighted values
    uint present;
    uint wanted_count;
    uint wanted[];  // heads of logits and scores
};

layout(push_constant) uniform Push {
    Header header;
    Floats query;          // [rows, heads * dim]
    Floats query_distance; // [rows, heads]
    Floats keys;           // [positions, key_heads * dim]
    Floats values;         // [positions, value_heads * value_dim]
    Floats distances;      // [positions, BALLS]
    Floats to;             // [rows, heads * value_dim]
    Capture capture;
    uint alpha; // offsets in the parameters
    uint mask;
    uint diagonal;
    uint radius;
    uint window;
    float scale;
    float softness;
    uint mass; // gravity only, like the two after it
    float softening;
    float distance_scale;
} push;

const uint DIM_QUADS = (DIM + 3) / 4;
shared vec4 query[DIM_QUADS]; // times the diagonal's root; zeros behind the last component
shared vec4 root[DIM_QUADS];

// The query's part of a score and of the ball test.
struct Query {
    uint row;      // of the op
    uint position;
    uint head;
    float square;  // |query|^2
    float alpha;   // times scale
    float strength; // gravity: mass^2
    float radius;
    float outside; // how far outside the ball, pairs test
};

Query load_query(uint row, uint head) {
    Floats params = push.header.step.params;
    Query q;
    q.row = row;
    q.position = position_of(push.header, row);
    q.head = head;
    for (uint i = gl_LocalInvocationID.x; i < DIM_QUADS; i += GROUP) {
        vec4 roots = vec4(0), points = vec4(0);
        for (uint c = 4 * i; c < min(4 * i + 4, DIM); ++c) {
            const uint diagonal = push.diagonal + (DIAGONAL_PER_HEAD ? head * DIM : 0) + c;
            const float one = push.diagonal == NONE ? 1 : diagonal_root(params.at[diagonal]);
            roots[c % 4] = one;
            points[c % 4] = push.query.at[(row_in(push.header, row, 1) * HEADS + head) * DIM + c] * one;
        }
        root[i] = roots;
        query[i] = points;
    }
    barrier();
    q.square = 0;
    for (uint i = 0; i < DIM_QUADS; ++i) {
        q.square += dot(query[i], query[i]);
    }
    q.alpha = (push.alpha == NONE ? 1 : params.at[push.alpha + head]) * push.scale;
    q.strength = 0;
    if (SCORE == 3) {
        const float mass = params.at[push.mass + head];
        q.strength = SQUARED_MASS ? mass * mass : mass;
    }
    q.radius = 0;
    q.outside = 0;
    if (MODE != 0) {
        q.radius = params.at[push.radius + (RADIUS_PER_HEAD ? head : 0)];
        if (PAIRS) {
            const uint at = row_in(push.header, row, 2) * HEADS + head;
            q.outside = max(push.query_distance.at[at] - q.radius, 0);
        }
    }
    return q;
}

// Workgroups that share a row at `position`.
uint part_count(uint position) { return min(PARTS, position / PART_KEYS + 1); }

// Where a part of a row stands in `capture.parts`.
uint part_at(Query q, uint part) { return ((q.row * HEADS + q.head) * PARTS + part) * (4 + VALUE_DIM); }

// Components 4 i … of the key that begins at `first`; zeros behind its last.
vec4 key_quad(uint first, uint i) {
    if (DIM % 4 == 0) {
        return Quads(push.keys).at[first / 4 + i];
    }
    vec4 k = vec4(0);
    for (uint c = 4 * i; c < min(4 * i + 4, DIM); ++c) {
        k[c % 4] = push.keys.at[first + c];
    }
    return k;
}

float across(vec4 v) { return (v.x + v.y) + (v.z + v.w); }

float score_of(Query q, uint key) {
    const uint first = (key * KEY_HEADS + q.head * KEY_HEADS / HEADS) * DIM;
    // The distance by differences: as cheap here as |q|^2 + |k|^2 - 2 q.k, and exact near 0 where that cancels.
    vec4 products = vec4(0), squares = vec4(0), distances = vec4(0);
    for (uint i = 0; i < DIM_QUADS; ++i) {
        const vec4 k = key_quad(first, i) * root[i];
        const vec4 difference = query[i] - k;
        products += query[i] * k;
        squares += k * k;
        distances += difference * difference;
    }
    const float product = across(products), square = across(squares), distance = across(distances);
    if (SCORE == 0) {
        return product;
    }
    if (SCORE == 3 && !CLAMP) {
        return 2 * product - (q.square + square);
    }
    if (SCORE == 1 || SCORE == 3) {
        return -distance;
    }
    return product / (max(sqrt(q.square), 1e-6) * max(sqrt(square), 1e-6));
}

float key_outside(Query q, uint key) {
    return max(push.distances.at[key * BALLS + q.head * BALLS / HEADS] - q.radius, 0);
}

// Kept by a hard ball; always true for the others.
bool inside(Query q, uint key) { return MODE != 1 || (key_outside(q, key) <= 0 && q.outside <= 0); }

float logit_of(Query q, uint key, float score) {
    const float pull = SCORE == 3 ? q.strength / (push.softening - push.distance_scale * score) : score;
    float logit = q.alpha * pull;
    if (MODE == 2) {
        logit -= push.softness * (key_outside(q, key) + q.outside);
    }
    return logit;
}

// First candidate of a row: the window's edge.
uint first_candidate(uint position) {
    return push.window != 0 && position + 1 > push.window ? position + 1 - push.window : 0;
}

// True when the softmax of this row runs over `key`, once it is known whether the row fell back.
bool is_kept(Query q, uint key, bool fell_back) {
    if (key > q.position || key < first_candidate(q.position)) {
        return false;
    }
    if (!fell_back) {
        return inside(q, key);
    }
    return FALLBACK == 0 || (FALLBACK == 1 && key == q.position);
}
