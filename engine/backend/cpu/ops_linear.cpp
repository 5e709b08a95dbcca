// SPDX-License-Identifier: GPL-3.0-or-later
// Products with weights in floats.
#include "engine/backend/cpu/product_op.h"
#include "engine/backend/cpu/quant_layout.h"

#include <algorithm>

namespace ergo::cpu {

namespace {

class LinearOp final : public ProductOp {
  public:
    LinearOp(std::span<const Linear> ops, const Resolver& resolver) : ProductOp(ops, resolver) {
        for (Product& product : products_) {
            LinearArgs& args = args_.emplace_back(described<LinearArgs>(product));
            args.type = product.weight.type;
            args.interleaved = product.weight.interleaved;
            args.in = in_rows_.data();
        }
        const auto as_bf16 = [](const Product& product) { return product.weight.inputs_as_bf16; };
        pairs_ = ops.front().rounding == Rounding::bits8 && std::ranges::all_of(products_, as_bf16) &&
                 has_bf16_pairs();
        if (products_.front().out->extent == BufferInfo::Extent::rows) {
            resolver.need_tiles(inputs());
        }
    }

    void run(StepContext& context) override {
        const std::int64_t rows = find_rows(context);
        for (LinearArgs& args : args_) {
            args.rows = rows;
        }
        if (rows > 1) {
            pack(context);
        }
        for_outputs(context, rows, [&](std::size_t product, std::int64_t begin, std::int64_t end) {
            outputs(context, args_[product], pairs_, begin, end);
        });
        count(context, rows);
    }

  private:
    void pack(const StepContext& context) const {
        const LinearArgs& args = args_.front(); // all have the same rows
        float* const tiles = context.session.tiles.data();
        context.session.pool->parallel_for(
            pairs_ ? pair_tiles(args.rows) : row_tiles(args.rows), grain_for(tile_floats(args.inputs)),
            [&](std::int64_t begin, std::int64_t end, int) {
                for (std::int64_t tile = begin; tile < end; ++tile) {
                    pairs_ ? pack_pairs(args, tile, tiles) : pack_tile(args, tile, tiles);
                }
            });
    }

    // In portions of some milliseconds, so that a cancelled prompt stops at once.
    static void outputs(const StepContext& context, const LinearArgs& args, bool pairs, std::int64_t begin,
                        std::int64_t end) {
        const std::int64_t portion =
            std::max<std::int64_t>(1, (1 << 25) / (args.rows * args.inputs)) * product_unit;
        for (; begin < end; begin += portion) {
            context.cancel.check();
            const std::int64_t stop = std::min(begin + portion, end);
            if (args.rows == 1) {
                linear_row(args, begin, stop);
            } else if (pairs) {
                linear_pairs(args, context.session.tiles.data(), begin, stop);
            } else {
                linear_rows(args, context.session.tiles.data(), begin, stop);
            }
        }
    }

    std::vector<LinearArgs> args_; // one a product
    bool pairs_ = false;           // rows in bf16 too
};

} // namespace

bool runs_with(const Linear& first, const Linear& next, const Resolver& resolver) {
    return next.in == first.in && next.rounding == first.rounding && !(next.out == first.in) &&
           !(first.out == first.in) &&
           resolver.buffer(next.out)->extent == resolver.buffer(first.out)->extent &&
           is_in_strips(resolver.weight(next.weight)->type) ==
               is_in_strips(resolver.weight(first.weight)->type);
}

std::unique_ptr<CpuOp> make_products(std::span<const Linear> ops, const Resolver& resolver) {
    if (is_in_strips(resolver.weight(ops.front().weight)->type)) {
        return make_quant_products(ops, resolver);
    }
    return std::make_unique<LinearOp>(ops, resolver);
}

std::unique_ptr<CpuOp> make_op(const Linear& op, const Resolver& resolver) {
    return make_products({&op, 1}, resolver);
}

} // namespace ergo::cpu
