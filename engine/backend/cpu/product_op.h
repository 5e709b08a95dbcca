// SPDX-License-Identifier: GPL-3.0-or-later
// What matrix products have in common, whatever their weights are stored in. Products of the same input run
// as one op: its rows are made ready once, and the threads meet once. Owned by a program, run on the thread
// that runs it.
#pragma once

#include "engine/backend/cpu/loops.h"

namespace ergo::cpu {

/// Outputs that are handed out together: 32, as many as lie side by side at most.
inline constexpr std::int64_t product_unit = 32;

class ProductOp : public CpuOp {
  protected:
    ProductOp(std::span<const Linear> ops, const Resolver& resolver)
        : in_(resolver.buffer(ops.front().in)), in_rows_(static_cast<std::size_t>(resolver.max_rows)) {
        for (const Linear& op : ops) {
            Product& product =
                products_.emplace_back(Product{*resolver.weight(op.weight), resolver.buffer(op.out),
                                               resolver.floats(op.bias), op.activation});
            product.out_rows.resize(in_rows_.size());
            units_.push_back(units_.back() + (product.weight.rows + product_unit - 1) / product_unit);
        }
    }

    struct Product {
        const CpuWeight& weight;
        CpuBuffer* out;
        const float* bias;
        Activation activation;
        std::vector<float*> out_rows{};
    };

    std::int64_t inputs() const { return products_.front().weight.columns; }

    /// What does not change from step to step; Args is a kernel's description of its product, in which more
    /// may stand already.
    template <class Args> static Args described(Product& product, Args args = {}) {
        args.weight = product.weight.data;
        args.bias = product.bias;
        args.activation = product.activation;
        args.inputs = product.weight.columns;
        args.outputs = product.weight.rows;
        args.out = product.out_rows.data();
        return args;
    }

    /// Outputs that a thread computes at a time: so few that the sums of all rows stay in its second cache
    /// from one block of inputs to the next, and that a cancelled prompt stops at once.
    std::int64_t portion_of(std::int64_t rows) const {
        constexpr std::int64_t sums = 1 << 16, some_milliseconds = 1 << 30; // multiply-adds
        return std::max<std::int64_t>(1,
                                      std::min(sums, some_milliseconds / inputs()) / (rows * product_unit)) *
               product_unit;
    }

    /// Where the rows of this step begin: in_rows_ and out_rows. Returns how many they are.
    std::int64_t find_rows(const StepContext& context) {
        for (std::size_t i = 0; i < context.rows.size(); ++i) {
            in_rows_[i] = in_->row(context.rows[i]);
            for (Product& product : products_) {
                product.out_rows[i] = product.out->row(context.rows[i]);
            }
        }
        return static_cast<std::int64_t>(context.rows.size());
    }

    /// body(product, begin, end): outputs [begin, end) of one of them; all of all, shared by the threads.
    template <class Body> void for_outputs(StepContext& context, std::int64_t rows, const Body& body) const {
        const auto part = [&](std::int64_t begin, std::int64_t end, int) {
            for (std::size_t p = 0; p < products_.size(); ++p) {
                const std::int64_t first = std::max(begin, units_[p]), last = std::min(end, units_[p + 1]);
                if (first < last) {
                    body(p, (first - units_[p]) * product_unit,
                         std::min((last - units_[p]) * product_unit, products_[p].weight.rows));
                }
            }
        };
        context.session.pool->parallel_for(units_.back(), grain_for(rows * inputs() * product_unit), part);
    }

    void count(StepContext& context, std::int64_t rows) const {
        for (const Product& product : products_) {
            const CpuWeight& weight = product.weight;
            context.count_weight(
                weight.bytes() +
                (product.bias ? static_cast<std::uint64_t>(weight.rows) * sizeof(float) : 0));
            context.count_product(rows * weight.rows * weight.columns);
        }
    }

    std::vector<Product> products_;
    std::vector<std::int64_t> units_{0}; // where each product's begin, and the end
    CpuBuffer* in_;
    std::vector<const float*> in_rows_;
};

/// One op for products that runs_with allows.
std::unique_ptr<CpuOp> make_products(std::span<const Linear> ops, const Resolver& resolver);
std::unique_ptr<CpuOp> make_quant_products(std::span<const Linear> ops, const Resolver& resolver);
/// Whether a product may run together with `first` and others between them.
bool runs_with(const Linear& first, const Linear& next, const Resolver& resolver);

} // namespace ergo::cpu
