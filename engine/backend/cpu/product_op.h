// SPDX-License-Identifier: GPL-3.0-or-later
// What matrix products have in common, whatever their weights are stored in. Owned by a program, run on the
// thread that runs it.
#pragma once

#include "engine/backend/cpu/loops.h"

namespace ergo::cpu {

class ProductOp : public CpuOp {
  protected:
    ProductOp(const Linear& op, const Resolver& resolver)
        : weight_(*resolver.weight(op.weight)), in_(resolver.buffer(op.in)), out_(resolver.buffer(op.out)),
          bias_(resolver.floats(op.bias)), activation_(op.activation),
          in_rows_(static_cast<std::size_t>(resolver.max_rows)),
          out_rows_(static_cast<std::size_t>(resolver.max_rows)) {}

    /// What does not change from step to step; Args is a kernel's description of its product.
    template <class Args> void describe(Args& args) {
        args.weight = weight_.data;
        args.bias = bias_;
        args.activation = activation_;
        args.inputs = weight_.columns;
        args.outputs = weight_.rows;
        args.out = out_rows_.data();
    }

    /// Where the rows of this step begin: in_rows_ and out_rows_. Returns how many they are.
    std::int64_t find_rows(const StepContext& context) {
        for (std::size_t i = 0; i < context.rows.size(); ++i) {
            in_rows_[i] = in_->row(context.rows[i]);
            out_rows_[i] = out_->row(context.rows[i]);
        }
        return static_cast<std::int64_t>(context.rows.size());
    }

    void count_read(StepContext& context) const {
        context.count_weight(weight_.bytes() +
                             (bias_ ? static_cast<std::uint64_t>(weight_.rows) * sizeof(float) : 0));
    }

    const CpuWeight& weight_;
    CpuBuffer *in_, *out_;
    const float* bias_;
    Activation activation_;
    std::vector<const float*> in_rows_;
    std::vector<float*> out_rows_;
};

} // namespace ergo::cpu
