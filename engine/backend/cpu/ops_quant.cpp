// SPDX-License-Identifier: GPL-3.0-or-later
// Products with weights in whole numbers.
#include "engine/backend/cpu/kernels_quant.h"
#include "engine/backend/cpu/product_op.h"

namespace ergo::cpu {

namespace {

class QuantLinearOp final : public ProductOp {
  public:
    QuantLinearOp(const Linear& op, const Resolver& resolver) : ProductOp(op, resolver) {
        describe(args_);
        args_.form = weight_.type;
        resolver.need_rounded_rows(args_.inputs);
    }

    void run(StepContext& context) override {
        args_.rows = find_rows(context);
        args_.in = QuantRows::at(reinterpret_cast<std::byte*>(context.session.rounded_rows.data()),
                                 args_.rows, args_.inputs);
        ThreadPool& pool = *context.session.pool;
        pool.parallel_for(args_.rows, grain_for(2 * args_.inputs),
                          [&](std::int64_t begin, std::int64_t end, int) {
                              round_rows(in_rows_.data(), args_.inputs, begin, end, args_.in);
                          });
        pool.parallel_for(args_.outputs, grain_for(args_.rows * args_.inputs / 4, strip_outputs),
                          [&](std::int64_t begin, std::int64_t end, int) { outputs(context, begin, end); });
        count_read(context);
    }

  private:
    // In portions of some milliseconds, so that a cancelled prompt stops at once.
    void outputs(const StepContext& context, std::int64_t begin, std::int64_t end) const {
        const std::int64_t portion =
            std::max<std::int64_t>(1, (1 << 24) / (args_.rows * args_.inputs)) * 4 * strip_outputs;
        for (; begin < end; begin += portion) {
            context.cancel.check();
            linear_quant(args_, begin, std::min(begin + portion, end));
        }
    }

    QuantLinearArgs args_;
};

} // namespace

std::unique_ptr<CpuOp> make_quant_linear(const Linear& op, const Resolver& resolver) {
    return std::make_unique<QuantLinearOp>(op, resolver);
}

} // namespace ergo::cpu
