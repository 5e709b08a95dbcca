// SPDX-License-Identifier: GPL-3.0-or-later
// Products with weights in floats.
#include "engine/backend/cpu/product_op.h"
#include "engine/backend/cpu/quant_layout.h"
#include "engine/backend/cpu/tile_rows.h"

#include <algorithm>

namespace ergo::cpu {

namespace {

class LinearOp final : public ProductOp {
  public:
    LinearOp(std::span<const Linear> ops, const Resolver& resolver) : ProductOp(ops, resolver) {
        for (Product& product : products_) {
            args_.push_back(described(product, args_of(product.weight)));
            args_.back().in = in_rows_.data();
        }
        pairs_ = ops.front().rounding == Rounding::bits8 ? kernels_in_pairs() : nullptr;
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
    // Null where a product must stay exact: nobody asked for 16 bits, even if the file has no more.
    const PairKernels* kernels_in_pairs() const {
        bool bf16 = true;
        for (const Product& product : products_) {
            const CpuWeight& weight = product.weight;
            if (!weight.inputs_rounded || weight.type == DType::f32) {
                return nullptr;
            }
            bf16 = bf16 && weight.type == DType::bf16;
        }
        if (inputs() < 2) {
            return nullptr;
        }
        for (const PairKernels* kernels :
             {crossed_word_pairs(), bf16 ? bf16_pairs() : nullptr, word_pairs()}) {
            if (kernels) {
                return kernels;
            }
        }
        return nullptr;
    }

    void pack(const StepContext& context) const {
        const LinearArgs& args = args_.front(); // all have the same rows
        float* const tiles = context.session.tiles.data();
        context.session.pool->parallel_for(
            pairs_ ? tiles_of(args.rows, pairs_->rows) : row_tiles(args.rows),
            grain_for(tile_floats(args.inputs)), [&](std::int64_t begin, std::int64_t end, int) {
                for (std::int64_t tile = begin; tile < end; ++tile) {
                    pairs_ ? pairs_->pack(args, tile, tiles) : pack_tile(args, tile, tiles);
                }
            });
    }

    void outputs(const StepContext& context, const LinearArgs& args, const PairKernels* pairs,
                 std::int64_t begin, std::int64_t end) const {
        const std::int64_t portion = portion_of(args.rows);
        for (; begin < end; begin += portion) {
            context.cancel.check();
            const std::int64_t stop = std::min(begin + portion, end);
            if (args.rows == 1) {
                linear_row(args, begin, stop);
            } else if (pairs) {
                pairs->linear(args, context.session.tiles.data(), begin, stop);
            } else {
                linear_rows(args, context.session.tiles.data(), begin, stop);
            }
        }
    }

    std::vector<LinearArgs> args_;       // one a product
    const PairKernels* pairs_ = nullptr; // rows rounded to 16 bits too
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
