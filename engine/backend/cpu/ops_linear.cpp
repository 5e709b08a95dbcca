// SPDX-License-Identifier: GPL-3.0-or-later
// Matrix products.
#include "engine/backend/cpu/loops.h"

namespace ergo::cpu {

namespace {

class LinearOp final : public CpuOp {
  public:
    LinearOp(const Linear& op, const Resolver& resolver)
        : weight_(*resolver.weight(op.weight)), in_(resolver.buffer(op.in)), out_(resolver.buffer(op.out)),
          in_rows_(static_cast<std::size_t>(resolver.max_rows)),
          out_rows_(static_cast<std::size_t>(resolver.max_rows)) {
        args_.weight = weight_.data;
        args_.type = weight_.type;
        args_.bias = resolver.floats(op.bias);
        args_.activation = op.activation;
        args_.inputs = weight_.columns;
        args_.outputs = weight_.rows;
        args_.interleaved = weight_.interleaved;
        if (out_->extent == BufferInfo::Extent::rows) {
            resolver.need_tiles(args_.inputs);
        }
    }

    void run(StepContext& context) override {
        const std::size_t rows = context.rows.size();
        for (std::size_t i = 0; i < rows; ++i) {
            in_rows_[i] = in_->row(context.rows[i]);
            out_rows_[i] = out_->row(context.rows[i]);
        }
        args_.rows = static_cast<std::int64_t>(rows);
        args_.in = in_rows_.data();
        args_.out = out_rows_.data();
        if (rows > 1) {
            pack(context);
        }
        context.session.pool->parallel_for(
            weight_.rows, grain_for(args_.rows * args_.inputs, interleave),
            [&](std::int64_t begin, std::int64_t end, int) { outputs(context, begin, end); });
        context.count_weight(weight_.bytes() + (args_.bias ? bias_bytes() : 0));
        context.count_product(args_.rows * weight_.rows * args_.inputs);
    }

  private:
    std::uint64_t bias_bytes() const { return static_cast<std::uint64_t>(weight_.rows) * sizeof(float); }

    void pack(const StepContext& context) const {
        float* const tiles = context.session.tiles.data();
        context.session.pool->parallel_for(row_tiles(args_.rows), grain_for(tile_floats(args_.inputs)),
                                           [&](std::int64_t begin, std::int64_t end, int) {
                                               for (std::int64_t tile = begin; tile < end; ++tile) {
                                                   pack_tile(args_, tile, tiles);
                                               }
                                           });
    }

    // In portions of some milliseconds, so that a cancelled prompt stops at once.
    void outputs(const StepContext& context, std::int64_t begin, std::int64_t end) const {
        const std::int64_t portion = std::max<std::int64_t>(1, (1 << 25) / (args_.rows * args_.inputs)) * 32;
        for (; begin < end; begin += portion) {
            context.cancel.check();
            const std::int64_t stop = std::min(begin + portion, end);
            if (args_.rows == 1) {
                linear_row(args_, begin, stop);
            } else {
                linear_rows(args_, context.session.tiles.data(), begin, stop);
            }
        }
    }

    const CpuWeight& weight_;
    CpuBuffer *in_, *out_;
    LinearArgs args_;
    std::vector<const float*> in_rows_;
    std::vector<float*> out_rows_;
};

} // namespace

std::unique_ptr<CpuOp> make_op(const Linear& op, const Resolver& r) {
    if (is_grouped(r.weight(op.weight)->type)) {
        return make_quant_linear(op, r);
    }
    return std::make_unique<LinearOp>(op, r);
}

} // namespace ergo::cpu
