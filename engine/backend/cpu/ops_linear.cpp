// SPDX-License-Identifier: GPL-3.0-or-later
// Products with weights in floats.
#include "engine/backend/cpu/product_op.h"

namespace ergo::cpu {

namespace {

class LinearOp final : public ProductOp {
  public:
    LinearOp(const Linear& op, const Resolver& resolver) : ProductOp(op, resolver) {
        describe(args_);
        args_.type = weight_.type;
        args_.interleaved = weight_.interleaved;
        args_.in = in_rows_.data();
        if (out_->extent == BufferInfo::Extent::rows) {
            resolver.need_tiles(args_.inputs);
        }
    }

    void run(StepContext& context) override {
        args_.rows = find_rows(context);
        if (args_.rows > 1) {
            pack(context);
        }
        context.session.pool->parallel_for(
            weight_.rows, grain_for(args_.rows * args_.inputs, interleave),
            [&](std::int64_t begin, std::int64_t end, int) { outputs(context, begin, end); });
        count_read(context);
        context.count_product(args_.rows * weight_.rows * args_.inputs);
    }

  private:
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

    LinearArgs args_;
};

} // namespace

std::unique_ptr<CpuOp> make_op(const Linear& op, const Resolver& r) {
    if (is_grouped(r.weight(op.weight)->type)) {
        return make_quant_linear(op, r);
    }
    return std::make_unique<LinearOp>(op, r);
}

} // namespace ergo::cpu
