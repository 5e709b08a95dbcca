// SPDX-License-Identifier: GPL-3.0-or-later
// Products with weights in whole numbers.
#include "engine/backend/cpu/kernels_quant.h"
#include "engine/backend/cpu/loops.h"

namespace ergo::cpu {

namespace {

class QuantLinearOp final : public CpuOp {
  public:
    QuantLinearOp(const Linear& op, const Resolver& resolver)
        : weight_(*resolver.weight(op.weight)), in_(resolver.buffer(op.in)), out_(resolver.buffer(op.out)),
          in_rows_(static_cast<std::size_t>(resolver.max_rows)),
          out_rows_(static_cast<std::size_t>(resolver.max_rows)) {
        args_.weight = weight_.data;
        args_.form = weight_.type;
        args_.bias = resolver.floats(op.bias);
        args_.activation = op.activation;
        args_.inputs = weight_.columns;
        args_.outputs = weight_.rows;
        resolver.need_rounded_rows(weight_.columns);
    }

    void run(StepContext& context) override {
        const std::size_t rows = context.rows.size();
        for (std::size_t i = 0; i < rows; ++i) {
            in_rows_[i] = in_->row(context.rows[i]);
            out_rows_[i] = out_->row(context.rows[i]);
        }
        args_.rows = static_cast<std::int64_t>(rows);
        args_.out = out_rows_.data();
        args_.in = QuantRows::at(reinterpret_cast<std::byte*>(context.session.rounded_rows.data()),
                                 args_.rows, args_.inputs);
        ThreadPool& pool = *context.session.pool;
        pool.parallel_for(args_.rows, grain_for(2 * args_.inputs),
                          [&](std::int64_t begin, std::int64_t end, int) {
                              round_rows(in_rows_.data(), args_.inputs, begin, end, args_.in);
                          });
        pool.parallel_for(args_.outputs, grain_for(args_.rows * args_.inputs / 4, strip_outputs),
                          [&](std::int64_t begin, std::int64_t end, int) { outputs(context, begin, end); });
        context.count_weight(weight_.bytes() +
                             (args_.bias ? static_cast<std::uint64_t>(args_.outputs) * sizeof(float) : 0));
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

    const CpuWeight& weight_;
    CpuBuffer *in_, *out_;
    QuantLinearArgs args_;
    std::vector<const float*> in_rows_;
    std::vector<float*> out_rows_;
};

} // namespace

std::unique_ptr<CpuOp> make_quant_linear(const Linear& op, const Resolver& resolver) {
    return std::make_unique<QuantLinearOp>(op, resolver);
}

} // namespace ergo::cpu
