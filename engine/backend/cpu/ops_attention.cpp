// SPDX-License-Identifier: GPL-3.0-or-later
// Rotation, the writing of keys and values, and attention over them. (MoA specification §6.5, §6.6)
#include "engine/backend/cpu/attention_pairs.h"
#include "engine/backend/cpu/attention_taps.h"
#include "engine/backend/cpu/cpu_sizes.h"
#include "engine/backend/cpu/loops.h"
#include "engine/backend/cpu/tile_rows.h"

#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>

namespace ergo::cpu {

namespace {

/// What Rotate and AppendKeyValue do to a projection.
template <class Body> class Turn {
  public:
    Turn(const Body& op, const Resolver& resolver)
        : heads_(op.heads), heads_in_(op.heads_in), dim_(op.dim), pairing_(op.rotation.pairing),
          cos_(resolver.floats(op.rotation.cos)), sin_(resolver.floats(op.rotation.sin)),
          diagonal_(resolver.session.param(op.diagonal)), unrotated_(op.ball.unrotated),
          origin_(resolver.session.param(op.ball.origin)),
          ball_diagonal_(resolver.session.param(op.ball.diagonal)) {}

    std::int64_t width() const { return heads_ * dim_; }
    std::uint64_t table_bytes() const {
        return cos_ ? static_cast<std::uint64_t>(2 * dim_) * sizeof(float) : 0;
    }

    void rotate(std::int64_t t, const float* in, float* out) const {
        for (std::int64_t h = 0; h < heads_; ++h) {
            const float* x = in + (heads_in_ == 1 ? 0 : h * dim_);
            float* y = out + h * dim_;
            const float* root = diagonal_ ? row_or_only(diagonal_->root, dim_, h) : nullptr;
            for (std::int64_t c = 0; c < dim_; ++c) {
                y[c] = root ? x[c] * root[c] : x[c];
            }
            if (cos_) {
                turn(cos_ + t * dim_, sin_ + t * dim_, y);
            }
        }
    }

    // out[b * step] for every ball b; `in` the projection, `rotated` what rotate() made of it.
    void distances(const float* in, const float* rotated, std::int64_t balls, float* out,
                   std::int64_t step) const {
        for (std::int64_t b = 0; b < balls; ++b) {
            const float* point =
                unrotated_ ? in + (heads_in_ == 1 ? 0 : b * dim_) : rotated + (heads_ == 1 ? 0 : b * dim_);
            const float* centre = row_or_only(origin_->values, dim_, b);
            const float* root = ball_diagonal_ ? row_or_only(ball_diagonal_->root, dim_, b) : nullptr;
            float sum = 0;
            for (std::int64_t c = 0; c < dim_; ++c) {
                const float difference = (point[c] - centre[c]) * (root ? root[c] : 1);
                sum += difference * difference;
            }
            out[b * step] = std::sqrt(sum);
        }
    }

  private:
    void turn(const float* cos, const float* sin, float* y) const {
        const std::int64_t half = dim_ / 2;
        const bool halves = pairing_ == Rotation::Pairing::half;
        for (std::int64_t i = 0; i < half; ++i) {
            const std::int64_t a = halves ? i : 2 * i, b = halves ? i + half : 2 * i + 1;
            const float first = y[a], second = y[b];
            y[a] = first * cos[a] - second * sin[a];
            y[b] = second * cos[b] + first * sin[b];
        }
    }

    std::int64_t heads_, heads_in_, dim_;
    Rotation::Pairing pairing_;
    const float *cos_, *sin_;
    const CpuParam* diagonal_;
    bool unrotated_;
    const CpuParam *origin_, *ball_diagonal_;
};

class RotateOp final : public CpuOp {
  public:
    RotateOp(const Rotate& op, const Resolver& resolver)
        : turn_(op, resolver), in_(resolver.buffer(op.in)), out_(resolver.buffer(op.out)),
          distance_(resolver.buffer(op.distance)) {}

    void run(StepContext& context) override {
        for_rows(context, 8 * turn_.width(), [&](std::int32_t r, int) {
            turn_.rotate(context.position(r), in_->row(r), out_->row(r));
            if (distance_) {
                turn_.distances(in_->row(r), out_->row(r), distance_->width, distance_->row(r), 1);
            }
        });
        context.count_weight(context.rows.size() * turn_.table_bytes());
    }

  private:
    Turn<Rotate> turn_;
    CpuBuffer *in_, *out_, *distance_;
};

class AppendKeyValueOp final : public CpuOp {
  public:
    AppendKeyValueOp(const AppendKeyValue& op, const Resolver& resolver)
        : turn_(op, resolver), key_(resolver.buffer(op.key)), value_(resolver.buffer(op.value)),
          gain_(resolver.floats(op.rotation.gain)), value_dim_(op.value_dim),
          keys_(*resolver.session.state(op.keys)), values_(*resolver.session.state(op.values)),
          distances_(op.ball.mode == Ball::Mode::off ? nullptr : resolver.session.state(op.distances)) {
        const std::int64_t distances = distances_ ? distances_->width : 0;
        resolver.need_row(std::max(turn_.width() + distances, values_.width));
    }

    void run(StepContext& context) override {
        for_rows(
            context, 8 * (turn_.width() + values_.width),
            [&](std::int32_t r, int worker) {
                row(context.position(r), r,
                    context.session.scratch[static_cast<std::size_t>(worker)].row.data());
            },
            16);
        const std::uint64_t gain = gain_ ? static_cast<std::uint64_t>(value_dim_) * sizeof(float) : 0;
        context.count_weight(context.rows.size() * (turn_.table_bytes() + gain));
    }

  private:
    void row(std::int64_t t, std::int32_t r, float* turned) {
        turn_.rotate(t, key_->row(r), turned);
        keys_.write(t, turned);
        if (distances_) {
            float* distances = turned + keys_.width;
            turn_.distances(key_->row(r), turned, distances_->width, distances, 1);
            distances_->write(t, distances);
        }
        const float* value = value_->row(r);
        if (gain_) {
            const float* gain = gain_ + t * value_dim_;
            for (std::int64_t c = 0; c < values_.width; ++c) {
                turned[c] = value[c] * gain[c % value_dim_];
            }
            value = turned;
        }
        values_.write(t, value);
    }

    Turn<AppendKeyValue> turn_;
    CpuBuffer *key_, *value_;
    const float* gain_;
    std::int64_t value_dim_;
    const CpuState &keys_, &values_, *distances_;
};

class AttentionOp final : public CpuOp {
  public:
    AttentionOp(const Attention& op, const Resolver& resolver)
        : op_(op), session_(resolver.session), query_(resolver.buffer(op.query)),
          out_(resolver.buffer(op.out)), keys_(*resolver.session.state(op.keys)),
          values_(*resolver.session.state(op.values)), diagonal_(resolver.session.param(op.diagonal)),
          alpha_(resolver.session.param(op.alpha)), mask_(resolver.session.param(op.mask)),
          mass_(resolver.session.param(op.gravity.mass)), taps_(op, resolver) {
        if (op.ball.mode != Ball::Mode::off) {
            distances_ = resolver.session.state(op.distances);
            radius_ = resolver.session.param(op.ball.radius);
            query_distance_ =
                op.ball.test == Ball::Test::pairs ? resolver.buffer(op.query_distance) : nullptr;
        }
        resolver.need_row(most_queries * op.dim);
        share_ = heads_alike();
        if (resolver.max_rows >= least_pair_rows && runs_in_pairs(session_.model->tables(), op)) {
            pairs_.emplace(op, resolver);
        }
    }

    // A tile is some (row, head) pairs whose heads share their keys and values: those are read once for all.
    // The longest rows come first, so that the threads end together; where there is a row only, neighbouring
    // tiles are of different heads, so that every thread reads a stream of its own.
    void run(StepContext& context) override {
        const auto rows = static_cast<std::int64_t>(context.rows.size());
        const std::int64_t groups = op_.heads / share_, pairs = rows * share_;
        const std::int64_t fair = (groups * pairs + session_.pool->threads() - 1) / session_.pool->threads();
        const bool in_pairs = pairs_ && rows >= least_pair_rows;
        const std::int64_t most = std::min<std::int64_t>(pairs, in_pairs ? pair_queries : most_queries);
        const std::int64_t queries = std::clamp<std::int64_t>(fair, 1, most);
        const std::int64_t tiles = tiles_of(pairs, queries);
        if (in_pairs) {
            const std::int64_t begin = first_candidate(context.position(context.rows.front()));
            pairs_->lay_out(context, taps_.any_captured() ? 0 : begin);
        }
        const std::int64_t work = queries * context.keys * (op_.dim + op_.value_dim + 8);
        session_.pool->parallel_for(
            groups * tiles, grain_for(work), [&](std::int64_t begin, std::int64_t end, int worker) {
                for (std::int64_t i = begin; i < end; ++i) {
                    context.cancel.check();
                    const std::int64_t group = rows == 1 ? i % groups : i / tiles;
                    const std::int64_t in_group = rows == 1 ? i / groups : i % tiles;
                    const TileRows of_tile = rows_of_tile(pairs, queries, tiles - 1 - in_group);
                    Tile tile;
                    for (std::int64_t pair = of_tile.first; pair < of_tile.last; ++pair) {
                        Query& query = tile.queries[tile.count++];
                        query.head = group * share_ + pair % share_;
                        query.row = context.rows[static_cast<std::size_t>(pair / share_)];
                    }
                    run_tile(context, tile, session_.scratch[static_cast<std::size_t>(worker)], in_pairs);
                }
            });
    }

  private:
    struct Query {
        std::int64_t head = 0;
        std::int32_t row = 0;
        float factor = 0;
        bool captured = false, silent = false;
    };
    struct Tile {
        int count = 0;
        Query queries[pair_queries];
    };
    static_assert(pair_queries >= most_queries);

    /// Neighbouring heads that read the same keys and values with the same diagonal.
    std::int64_t heads_alike() const {
        const std::int64_t heads = op_.heads;
        if (heads % op_.key_heads != 0 || heads % op_.value_heads != 0 ||
            (diagonal_ && static_cast<std::int64_t>(diagonal_->root.size()) != op_.dim)) {
            return 1;
        }
        return std::gcd(heads / op_.key_heads, heads / op_.value_heads);
    }

    bool silent(std::int64_t h) const { return mask_ && mask_->values[static_cast<std::size_t>(h)] == 0; }

    // Silent heads that nobody looks at leave the tile, their output zero.
    void drop_silent(Tile& tile) {
        int kept = 0;
        for (int q = 0; q < tile.count; ++q) {
            Query& query = tile.queries[q];
            query.captured = taps_.captured(query.head);
            query.silent = silent(query.head);
            if (query.silent) {
                float* out = out_->row(query.row) + query.head * op_.value_dim;
                std::fill(out, out + op_.value_dim, 0.0f);
            }
            if (!query.silent || query.captured || taps_.wants_all()) {
                tile.queries[kept++] = query;
            }
        }
        tile.count = kept;
    }

    /// Positions that the queries of a tile look at, from block `first` on: values below `end`, scores below
    /// `scored`, which are `count` when rounded up to whole groups.
    struct Extent {
        std::int64_t first = 0, end = 0, scored = 0, count = 0;
    };

    Extent extent_of(const StepContext& context, const Tile& tile) const {
        std::int64_t begin = context.keys, end = 0;
        bool whole = false; // captures show every key, not candidates alone
        for (int q = 0; q < tile.count; ++q) {
            const std::int64_t t = context.position(tile.queries[q].row);
            begin = std::min(begin, first_candidate(t));
            end = std::max(end, t + 1);
            whole = whole || tile.queries[q].captured;
        }
        const std::int64_t scored = whole ? context.keys : end;
        const std::int64_t first = whole ? 0 : begin / state_block, all = scored - first * state_block;
        return {first, end, scored, (all + score_group - 1) / score_group * score_group};
    }

    void run_tile(const StepContext& context, Tile& tile, WorkerScratch& scratch, bool in_pairs) {
        drop_silent(tile);
        if (tile.count == 0) {
            return;
        }
        const Extent extent = extent_of(context, tile);
        if (in_pairs) {
            run_in_pairs(context, tile, scratch, extent);
            return;
        }
        const std::int64_t length = session_.row_floats();
        score_tile(tile, scratch, extent);
        ValueArgs values;
        values.queries = 0;
        for (int q = 0; q < tile.count; ++q) {
            float* weights = scratch.logits.floats() + q * length;
            Query& query = tile.queries[q];
            weigh(context, query, extent, scratch.scores.floats() + q * length, weights);
            if (!query.silent) {
                values.weights[values.queries] = weights;
                values.factor[values.queries] = factor_of(query);
                values.out[values.queries++] = out_->row(query.row) + query.head * op_.value_dim;
            }
        }
        values.values = values_.channel(tile.queries[0].head * op_.value_heads / op_.heads * op_.value_dim);
        values.rows = values_.layout == StateLayout::rows;
        values.stride = values_.stride;
        values.type = values_.type;
        values.channels = op_.value_dim;
        values.end = extent.end;
        weighted_values(values, extent.first, (extent.end + state_block - 1) / state_block);
    }

    float factor_of(const Query& query) const {
        return query.factor * (mask_ ? mask_->values[static_cast<std::size_t>(query.head)] : 1);
    }

    // The same in pairs of 16 bits. Scores become weights where they lie, but for
    // captured ones, of which both are shown.
    void run_in_pairs(const StepContext& context, Tile& tile, WorkerScratch& scratch, const Extent& extent) {
        PairTile args = pairs_->tile(scratch, tile.queries[0].head);
        args.queries = tile.count;
        for (int q = 0; q < tile.count; ++q) {
            args.query[q] = query_->row(tile.queries[q].row) + tile.queries[q].head * op_.dim;
        }
        const std::int64_t first = extent.first * state_block;
        pair_scores(args, first, extent.scored);
        args.queries = 0;
        for (int q = 0; q < tile.count; ++q) {
            Query& query = tile.queries[q];
            float* const scores = args.scores[q];
            float* const weights = query.captured ? scratch.logits.floats() : scores;
            weigh(context, query, extent, scores, weights);
            if (query.captured) {
                std::memcpy(scores, weights, static_cast<std::size_t>(extent.end - first) * sizeof(float));
            }
            if (!query.silent) {
                args.scores[args.queries] = scores;
                args.factor[args.queries] = factor_of(query);
                args.out[args.queries++] = out_->row(query.row) + query.head * op_.value_dim;
            }
        }
        if (args.queries > 0) {
            pair_weighted_values(args, first, extent.end);
        }
    }

    std::int64_t first_candidate(std::int64_t t) const {
        return op_.window == 0 ? 0 : std::max<std::int64_t>(0, t - op_.window + 1);
    }

    void score_tile(const Tile& tile, WorkerScratch& scratch, const Extent& extent) {
        ScoreArgs args;
        args.score = op_.score;
        args.expanded = !op_.gravity.clamp;
        args.dim = op_.dim;
        args.queries = tile.count;
        const std::int64_t head = tile.queries[0].head;
        args.root = diagonal_ ? row_or_only(diagonal_->root, op_.dim, head) : nullptr;
        for (int q = 0; q < tile.count; ++q) {
            const float* query = query_->row(tile.queries[q].row) + tile.queries[q].head * op_.dim;
            args.query[q] = query;
            args.out[q] = scratch.scores.floats() + q * session_.row_floats();
            if (args.root) {
                float* scaled = scratch.row.data() + q * op_.dim;
                for (std::int64_t c = 0; c < op_.dim; ++c) {
                    scaled[c] = query[c] * args.root[c];
                }
                args.query[q] = scaled;
            }
        }
        args.keys = keys_.channel(head * op_.key_heads / op_.heads * op_.dim);
        args.stride = keys_.stride;
        args.type = keys_.type;
        scores(args, extent.first, extent.scored);
    }

    // Scores of one query become weights (before the factor 1 / their sum), and whatever is wanted of them is
    // written.
    void weigh(const StepContext& context, Query& query, const Extent& extent, float* s, float* weights) {
        const std::int64_t h = query.head, t = context.position(query.row), begin = first_candidate(t);
        const std::int32_t r = query.row;
        const LogitResult found = mask_row(h, r, begin, t, extent, s, weights);
        const std::int64_t base = extent.first * state_block;
        if (taps_.captured(h)) {
            taps_.capture(r, h, context.keys, begin, t + 1, s, weights, 1);
        }
        if (taps_.wants_largest()) {
            taps_.largest(r, h, weights + (begin - base), begin, t + 1);
        }
        AttentionTaps::Row row;
        row.maximum = std::isfinite(found.maximum) ? found.maximum : 0;
        row.kept = static_cast<float>(found.kept);
        row.sum =
            exponentials(row.maximum, extent.count, weights, taps_.wants_entropy() ? &row.weighted : nullptr);
        query.factor = row.sum == 0 ? 0 : 1 / row.sum; // nothing kept: zeros, never NaN
        taps_.scalars(r, h, row);
        if (taps_.wants_largest()) {
            taps_.largest_weights(r, h, weights, query.factor, base, 1);
        }
    }

    // Logits of candidates [begin, t] after ball and fallback.
    LogitResult mask_row(std::int64_t h, std::int32_t r, std::int64_t begin, std::int64_t t,
                         const Extent& extent, const float* s, float* out) {
        LogitArgs args;
        args.alpha = alpha_ ? alpha_->values[static_cast<std::size_t>(h)] : 1;
        args.scale = op_.scale;
        if (op_.score == Attention::Score::gravity) {
            const float mass = mass_->values[static_cast<std::size_t>(h)];
            args.gravity = true;
            args.strength = op_.gravity.squared ? mass * mass : mass;
            args.softening = op_.gravity.softening;
            args.distance_scale = op_.gravity.distance_scale;
        }
        args.begin = begin;
        args.end = t + 1;
        if (distances_) {
            args.mode = op_.ball.mode;
            args.radius = radius_->values[radius_->values.size() == 1 ? 0 : static_cast<std::size_t>(h)];
            args.softness = op_.ball.softness;
            args.distances = distances_->at(0, distances_->width == 1 ? 0 : h);
            args.stride = distances_->stride / std::int64_t{sizeof(float)};
            if (query_distance_) {
                const float outside = query_distance_->row(r)[h] - args.radius;
                args.query_outside = std::max(outside, 0.0f);
                if (args.mode == Ball::Mode::hard && !(outside <= 0)) {
                    args.end = begin; // the query is outside: no pair is kept
                }
            }
        }
        LogitResult result = logits(args, extent.first, extent.count, s, out);
        if (result.kept > 0 || op_.ball.fallback == Ball::Fallback::zero || args.mode != Ball::Mode::hard) {
            return result;
        }
        args.distances = nullptr;
        args.begin = op_.ball.fallback == Ball::Fallback::self ? t : begin;
        args.end = t + 1;
        return logits(args, extent.first, extent.count, s, out);
    }

    Attention op_;
    CpuSession& session_;
    CpuBuffer *query_, *query_distance_ = nullptr, *out_;
    const CpuState &keys_, &values_, *distances_ = nullptr;
    const CpuParam *diagonal_, *alpha_, *mask_, *mass_, *radius_ = nullptr;
    AttentionTaps taps_;
    std::int64_t share_ = 1; // heads in a row that share keys, values and diagonal
    std::optional<AttentionPairs> pairs_;
};

class KeptShareOp final : public CpuOp {
  public:
    KeptShareOp(const KeptShare& op, const Resolver& resolver)
        : op_(op), distances_(*resolver.session.state(op.distances)),
          radius_(*resolver.session.param(op.ball.radius)), out_(resolver.buffer(op.out)) {}

    void run(StepContext& context) override {
        // Heads side by side belong to one vector; else a head is a piece of work.
        const std::int64_t heads = distances_.layout == StateLayout::side_by_side ? side : 1;
        const std::int64_t groups = op_.heads / heads;
        const auto rows = static_cast<std::int64_t>(context.rows.size());
        context.session.pool->parallel_for(
            rows * groups, grain_for(heads * context.keys / 4),
            [&](std::int64_t begin, std::int64_t end, int) {
                for (std::int64_t i = begin; i < end; ++i) {
                    count(context, context.rows[static_cast<std::size_t>(i / groups)], i % groups * heads);
                }
            });
    }

  private:
    float radius(std::int64_t h) const {
        return radius_.values[radius_.values.size() == 1 ? 0 : static_cast<std::size_t>(h)];
    }

    void count(const StepContext& context, std::int32_t r, std::int64_t h) const {
        const std::int64_t t = context.position(r);
        const std::int64_t begin = op_.window == 0 ? 0 : std::max<std::int64_t>(0, t - op_.window + 1);
        float* out = out_->row(r) + h;
        if (distances_.layout != StateLayout::side_by_side) {
            *out = share(static_cast<float>(kept(begin, t, h)), t + 1 - begin);
            return;
        }
        alignas(64) float bounds[side], kept[side];
        for (std::int64_t i = 0; i < side; ++i) {
            bounds[i] = radius(h + i);
        }
        side_count_not_above(distances_.at(begin, h), t + 1 - begin, bounds, kept);
        for (std::int64_t i = 0; i < side; ++i) {
            out[i] = share(kept[i], t + 1 - begin);
        }
    }

    // A block at a time, where positions lie side by side.
    std::int64_t kept(std::int64_t begin, std::int64_t t, std::int64_t h) const {
        std::int64_t kept = 0;
        for (std::int64_t j = begin; j <= t;) {
            const std::int64_t end = std::min((j / state_block + 1) * state_block, t + 1);
            kept += count_not_above(distances_.at(j, distances_.width == 1 ? 0 : h), end - j, radius(h));
            j = end;
        }
        return kept;
    }

    float share(float kept, std::int64_t candidates) const {
        if (kept > 0 || op_.ball.fallback == Ball::Fallback::zero) {
            return kept / static_cast<float>(candidates);
        }
        return op_.ball.fallback == Ball::Fallback::unpruned ? 1 : 1 / static_cast<float>(candidates);
    }

    KeptShare op_;
    const CpuState& distances_;
    const CpuParam& radius_;
    CpuBuffer* out_;
};

} // namespace

std::unique_ptr<CpuOp> make_op(const Rotate& op, const Resolver& r) {
    return std::make_unique<RotateOp>(op, r);
}
std::unique_ptr<CpuOp> make_op(const AppendKeyValue& op, const Resolver& r) {
    return std::make_unique<AppendKeyValueOp>(op, r);
}
std::unique_ptr<CpuOp> make_op(const Attention& op, const Resolver& r) {
    if (r.session.state(op.keys)->layout == StateLayout::side_by_side) {
        return make_side_attention(op, r);
    }
    return std::make_unique<AttentionOp>(op, r);
}
std::unique_ptr<CpuOp> make_op(const KeptShare& op, const Resolver& r) {
    return std::make_unique<KeptShareOp>(op, r);
}

} // namespace ergo::cpu
