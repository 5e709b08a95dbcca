// SPDX-License-Identifier: GPL-3.0-or-later
// Products with weights in whole numbers.
#include "engine/backend/cpu/kernels_quant.h"
#include "engine/backend/cpu/product_op.h"

namespace ergo::cpu {

namespace {

class QuantLinearOp final : public ProductOp {
  public:
    QuantLinearOp(std::span<const Linear> ops, const Resolver& resolver)
        : ProductOp(ops, resolver), rounding_(ops.front().rounding),
          bytes_(resolver.session.vnni && rounding_ == Rounding::bits8) {
        for (Product& product : products_) {
            QuantLinearArgs& args = args_.emplace_back(described<QuantLinearArgs>(product));
            args.form = product.weight.type;
            args.vnni = resolver.session.vnni;
            sums_.add(args.form);
        }
        resolver.need_rounded_rows(inputs());
    }

    void run(StepContext& context) override {
        const std::int64_t rows = find_rows(context);
        const auto rounded = QuantRows::at(reinterpret_cast<std::byte*>(context.session.rounded_rows.data()),
                                           rows, inputs(), bytes_, sums_);
        for (QuantLinearArgs& args : args_) {
            args.rows = rows;
            args.in = rounded;
        }
        context.session.pool->parallel_for(
            rows, grain_for(2 * inputs()), [&](std::int64_t begin, std::int64_t end, int) {
                round_rows(in_rows_.data(), inputs(), rounding_, begin, end, rounded);
            });
        for_outputs(context, rows, [&](std::size_t product, std::int64_t begin, std::int64_t end) {
            outputs(context, args_[product], begin, end);
        });
        count(context, rows);
    }

  private:
    void outputs(const StepContext& context, const QuantLinearArgs& args, std::int64_t begin,
                 std::int64_t end) const {
        const std::int64_t portion = portion_of(args.rows);
        for (; begin < end; begin += portion) {
            context.cancel.check();
            linear_quant(args, begin, std::min(begin + portion, end));
        }
    }

    Rounding rounding_;
    bool bytes_;
    GroupSums sums_;
    std::vector<QuantLinearArgs> args_; // one a product
};

} // namespace

std::unique_ptr<CpuOp> make_quant_products(std::span<const Linear> ops, const Resolver& resolver) {
    return std::make_unique<QuantLinearOp>(ops, resolver);
}

} // namespace ergo::cpu
