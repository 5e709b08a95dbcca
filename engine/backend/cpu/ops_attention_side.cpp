// SPDX-License-Identifier: GPL-3.0-or-later
// Attention over heads that lie side by side (kernels.h): narrow heads of which each has its own keys, values
// and balls. (MoA specification §6.5)
#include "engine/backend/cpu/attention_taps.h"
#include "engine/backend/cpu/loops.h"

#include <cmath>

namespace ergo::cpu {

namespace {

class SideAttentionOp final : public CpuOp {
  public:
    SideAttentionOp(const Attention& op, const Resolver& resolver)
        : op_(op), session_(resolver.session), query_(resolver.buffer(op.query)),
          out_(resolver.buffer(op.out)), keys_(*resolver.session.state(op.keys)),
          values_(*resolver.session.state(op.values)), diagonal_(resolver.session.param(op.diagonal)),
          alpha_(resolver.session.param(op.alpha)), mask_(resolver.session.param(op.mask)),
          mass_(resolver.session.param(op.gravity.mass)), taps_(op, resolver),
          root_(static_cast<std::size_t>(op.heads * op.dim), 1.0f),
          slope_(static_cast<std::size_t>(op.heads), 1.0f), strength_(static_cast<std::size_t>(op.heads)),
          radii_(static_cast<std::size_t>(op.heads)) {
        if (op.ball.mode != Ball::Mode::off) {
            distances_ = resolver.session.state(op.distances);
            radius_ = resolver.session.param(op.ball.radius);
            query_distance_ =
                op.ball.test == Ball::Test::pairs ? resolver.buffer(op.query_distance) : nullptr;
        }
        resolver.need_row(side_queries * query_floats());
    }

    // A tile is some rows of a group of heads. The longest rows come first, so that the threads end together.
    void run(StepContext& context) override {
        prepare_heads();
        const auto rows = static_cast<std::int64_t>(context.rows.size());
        const std::int64_t groups = op_.heads / side, threads = session_.pool->threads();
        const std::int64_t queries = std::clamp<std::int64_t>((groups * rows + threads - 1) / threads, 1,
                                                              std::min<std::int64_t>(rows, side_queries));
        const std::int64_t tiles = (rows + queries - 1) / queries;
        const std::int64_t work = queries * side * context.keys * (op_.dim + op_.value_dim + 8);
        session_.pool->parallel_for(
            groups * tiles, grain_for(work), [&](std::int64_t begin, std::int64_t end, int worker) {
                for (std::int64_t i = begin; i < end; ++i) {
                    context.cancel.check();
                    const std::int64_t from = (tiles - 1 - i % tiles) * queries;
                    const auto count = static_cast<std::size_t>(std::min(queries, rows - from));
                    run_tile(context, i / tiles, context.rows.subspan(static_cast<std::size_t>(from), count),
                             session_.scratch[static_cast<std::size_t>(worker)]);
                }
            });
    }

  private:
    /// One query's part of a worker's scratch row.
    struct Part {
        float *query, *out, *maximum, *kept, *sum, *weighted, *outside, *empty;
    };
    std::int64_t query_floats() const { return (op_.dim + op_.value_dim + 6) * side; }
    Part part(const WorkerScratch& scratch, int q) const {
        float* at = const_cast<float*>(scratch.row.data()) + q * query_floats();
        float* scalars = at + (op_.dim + op_.value_dim) * side;
        return {at,
                at + op_.dim * side,
                scalars,
                scalars + side,
                scalars + 2 * side,
                scalars + 3 * side,
                scalars + 4 * side,
                scalars + 5 * side};
    }

    // What the parameters, which may change between steps, say of each head; the roots side by side.
    void prepare_heads() {
        for (std::int64_t h = 0; h < op_.heads; ++h) {
            const auto i = static_cast<std::size_t>(h);
            slope_[i] = alpha_ ? alpha_->values[i] : 1;
            if (mass_) {
                strength_[i] = op_.gravity.squared ? mass_->values[i] * mass_->values[i] : mass_->values[i];
            }
            if (radius_) {
                radii_[i] = radius_->values[radius_->values.size() == 1 ? 0 : i];
            }
            const float* root = diagonal_ ? row_or_only(diagonal_->root, op_.dim, h) : nullptr;
            for (std::int64_t c = 0; c < op_.dim && root; ++c) {
                root_[static_cast<std::size_t>((h / side * op_.dim + c) * side + h % side)] = root[c];
            }
        }
    }

    SideArgs group_args(std::int64_t group) const {
        SideArgs args;
        args.score = op_.score;
        args.expanded = !op_.gravity.clamp;
        args.dim = op_.dim;
        args.value_dim = op_.value_dim;
        args.root = root_.data() + group * op_.dim * side; // ones where there is no diagonal
        args.keys = keys_.at(0, group * side * op_.dim);
        args.values = values_.at(0, group * side * op_.value_dim);
        args.slope = slope_.data() + group * side;
        args.scale = op_.scale;
        if (op_.score == Attention::Score::gravity) {
            args.strength = strength_.data() + group * side;
            args.softening = op_.gravity.softening;
            args.distance_scale = op_.gravity.distance_scale;
        }
        if (distances_) {
            args.mode = op_.ball.mode;
            args.distances = distances_->at(0, group * side);
            args.radius = radii_.data() + group * side;
            args.softness = op_.ball.softness;
        }
        return args;
    }

    std::int64_t first_candidate(std::int64_t t) const {
        return op_.window == 0 ? 0 : std::max<std::int64_t>(0, t - op_.window + 1);
    }

    void run_tile(const StepContext& context, std::int64_t group, std::span<const std::int32_t> rows,
                  WorkerScratch& scratch) {
        SideArgs args = group_args(group);
        args.queries = static_cast<int>(rows.size());
        std::int64_t first = context.keys;
        SideLogits logits;
        SideValues values;
        for (int q = 0; q < args.queries; ++q) {
            const std::int32_t r = rows[static_cast<std::size_t>(q)];
            const Part p = part(scratch, q);
            args.end[q] = context.position(r) + 1;
            args.begin[q] = first_candidate(args.end[q] - 1);
            first = std::min(first, args.begin[q]);
            set_query(args, q, group, r, p);
            logits.logits[q] = values.logits[q] = scratch.logits.floats() + q * session_.row_floats() * side;
            logits.maximum[q] = p.maximum;
            logits.kept[q] = p.kept;
            values.maximum[q] = p.maximum;
            values.sum[q] = p.sum;
            values.weighted[q] = taps_.wants_entropy() ? p.weighted : nullptr;
            values.out[q] = p.out;
        }
        side_logits(args, first, logits);
        for (int q = 0; q < args.queries; ++q) {
            fill_empty(args, q, first, part(scratch, q), logits);
            look(context, args, q, group, rows[static_cast<std::size_t>(q)], first, logits.logits[q],
                 scratch);
            for (std::int64_t h = 0; h < side; ++h) {
                float& maximum = logits.maximum[q][h];
                maximum = std::isfinite(maximum) ? maximum : 0;
            }
        }
        side_values(args, first, values);
        for (int q = 0; q < args.queries; ++q) {
            finish(q, group, rows[static_cast<std::size_t>(q)], first, logits.logits[q], scratch);
        }
    }

    void set_query(SideArgs& args, int q, std::int64_t group, std::int32_t r, const Part& p) const {
        const float* query = query_->row(r) + group * side * op_.dim;
        for (std::int64_t c = 0; c < op_.dim; ++c) {
            for (std::int64_t h = 0; h < side; ++h) {
                p.query[c * side + h] = query[h * op_.dim + c] * args.root[c * side + h];
            }
        }
        args.query[q] = p.query;
        if (query_distance_) {
            for (std::int64_t h = 0; h < side; ++h) {
                p.outside[h] = query_distance_->row(r)[group * side + h] - args.radius[h];
                if (args.mode == Ball::Mode::soft) {
                    p.outside[h] = std::max(p.outside[h], 0.0f);
                }
            }
            args.query_outside[q] = p.outside;
        }
    }

    // Heads whose ball holds no candidate fall back.
    void fill_empty(const SideArgs& args, int q, std::int64_t first, const Part& p,
                    const SideLogits& logits) const {
        if (!distances_ || op_.ball.mode != Ball::Mode::hard || op_.ball.fallback == Ball::Fallback::zero) {
            return;
        }
        bool any = false;
        for (std::int64_t h = 0; h < side; ++h) {
            p.empty[h] = p.kept[h] == 0 ? 1.0f : 0.0f;
            any = any || p.kept[h] == 0;
        }
        if (any) {
            const bool self = op_.ball.fallback == Ball::Fallback::self;
            side_unpruned(args, q, first, self ? args.end[q] - 1 : args.begin[q], p.empty, logits);
        }
    }

    // Readers see scores and logits before those become weights.
    void look(const StepContext& context, const SideArgs& args, int q, std::int64_t group, std::int32_t r,
              std::int64_t first, const float* logits, WorkerScratch& scratch) const {
        bool any = false;
        for (std::int64_t h = 0; h < side; ++h) {
            any = any || taps_.captured(group * side + h);
        }
        float* scores = scratch.scores.floats() + q * session_.row_floats() * side;
        if (any && taps_.wants_scores()) {
            side_scores(args, q, 0, context.keys, scores);
        }
        for (std::int64_t h = 0; h < side && any; ++h) {
            taps_.capture(r, group * side + h, context.keys, args.begin[q], args.end[q], scores + h,
                          logits + h - first * side, side);
        }
        if (taps_.wants_largest()) {
            taps_.largest_side(r, group, logits + (args.begin[q] - first) * side, args.begin[q], args.end[q]);
        }
    }

    void finish(int q, std::int64_t group, std::int32_t r, std::int64_t first, const float* weights,
                const WorkerScratch& scratch) const {
        const Part p = part(scratch, q);
        for (std::int64_t i = 0; i < side; ++i) {
            const std::int64_t h = group * side + i;
            const AttentionTaps::Row row{p.maximum[i], p.sum[i], p.kept[i],
                                         taps_.wants_entropy() ? p.weighted[i] : 0};
            const float factor = row.sum == 0 ? 0 : 1 / row.sum; // nothing kept: zeros, never NaN
            const float mask = mask_ ? mask_->values[static_cast<std::size_t>(h)] : 1;
            float* out = out_->row(r) + h * op_.value_dim;
            for (std::int64_t c = 0; c < op_.value_dim; ++c) {
                out[c] = mask == 0 ? 0 : factor * mask * p.out[c * side + i];
            }
            taps_.scalars(r, h, row);
            if (taps_.wants_largest()) {
                taps_.largest_weights(r, h, weights + i, factor, first, side);
            }
        }
    }

    Attention op_;
    CpuSession& session_;
    CpuBuffer *query_, *query_distance_ = nullptr, *out_;
    const CpuState &keys_, &values_, *distances_ = nullptr;
    const CpuParam *diagonal_, *alpha_, *mask_, *mass_, *radius_ = nullptr;
    AttentionTaps taps_;
    AlignedFloats root_;                     // [groups, dim, side]
    AlignedFloats slope_, strength_, radii_; // [heads]
};

} // namespace

std::unique_ptr<CpuOp> make_side_attention(const Attention& op, const Resolver& resolver) {
    return std::make_unique<SideAttentionOp>(op, resolver);
}

} // namespace ergo::cpu
