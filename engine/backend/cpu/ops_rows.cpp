// SPDX-License-Identifier: GPL-3.0-or-later
// Ops that treat each row alone: embedding, norms, gates, convolution, sums of logits.
#include "engine/backend/cpu/loops.h"

#include <cstring>

namespace ergo::cpu {

namespace {

std::uint64_t float_bytes(std::int64_t count) {
    return static_cast<std::uint64_t>(count) * sizeof(float);
}

class EmbedOp final : public CpuOp {
  public:
    EmbedOp(const Embed& op, const Resolver& resolver)
        : table_(*resolver.weight(op.table)), out_(resolver.buffer(op.out)) {}

    void run(StepContext& context) override {
        for_rows(context, table_.columns, [&](std::int32_t r, int) {
            table_.read_row(context.step.ids[static_cast<std::size_t>(r)], out_->row(r));
        });
        context.count_weight(context.rows.size() * table_.row_bytes());
    }

  private:
    const CpuWeight& table_;
    CpuBuffer* out_;
};

class NormOp final : public CpuOp {
  public:
    NormOp(const Norm& op, const Resolver& resolver)
        : op_(op), in_(resolver.buffer(op.in)), out_(resolver.buffer(op.out)),
          weight_(resolver.floats(op.weight)), bias_(resolver.floats(op.bias)) {}

    void run(StepContext& context) override {
        const std::int64_t width = in_->width / op_.heads;
        for_rows(context, 4 * in_->width, [&](std::int32_t r, int) {
            for (std::int64_t at = 0; at < in_->width; at += width) {
                norm(op_.kind, op_.eps, width, in_->row(r) + at, weight_, bias_, out_->row(r) + at);
            }
        });
        context.count_weight(float_bytes(width) * (bias_ ? 2 : 1));
    }

  private:
    Norm op_;
    CpuBuffer *in_, *out_;
    const float *weight_, *bias_;
};

class GateOp final : public CpuOp {
  public:
    GateOp(const Gate& op, const Resolver& resolver)
        : op_(op), a_(resolver.buffer(op.a)), b_(resolver.buffer(op.b)), out_(resolver.buffer(op.out)) {}

    void run(StepContext& context) override {
        for_rows(context, 8 * out_->width, [&](std::int32_t r, int) {
            gate(op_.activation, out_->width, a_->row(r) + op_.a_offset,
                 b_ ? b_->row(r) + op_.b_offset : nullptr, out_->row(r));
        });
    }

  private:
    Gate op_;
    CpuBuffer *a_, *b_, *out_;
};

class AppendOp final : public CpuOp {
  public:
    AppendOp(const Append& op, const Resolver& resolver)
        : in_(resolver.buffer(op.in)), state_(*resolver.session.state(op.state)) {}

    void run(StepContext& context) override {
        for_rows(
            context, 4 * state_.width,
            [&](std::int32_t r, int) { state_.write(context.position(r), in_->row(r)); }, 16);
    }

  private:
    CpuBuffer* in_;
    const CpuState& state_;
};

class ConvolutionOp final : public CpuOp {
  public:
    ConvolutionOp(const Convolution& op, const Resolver& resolver)
        : history_(*resolver.session.state(op.history)), weight_(resolver.floats(op.weight)),
          bias_(resolver.floats(op.bias)), taps_(resolver.weight(op.weight)->columns),
          out_(resolver.buffer(op.out)), activation_(op.activation) {}

    void run(StepContext& context) override {
        const auto rows = static_cast<std::int64_t>(context.rows.size());
        context.session.pool->parallel_for(history_.width, grain_for(4 * rows * taps_, 16),
                                           [&](std::int64_t begin, std::int64_t end, int) {
                                               for (const std::int32_t r : context.rows) {
                                                   filter(context.position(r), begin, end, out_->row(r));
                                               }
                                           });
        context.count_weight(float_bytes(history_.width * (taps_ + (bias_ ? 1 : 0))));
    }

  private:
    // Channels [begin, end) of position t. Missing positions are skipped, which is what zeros before the
    // start do.
    void filter(std::int64_t t, std::int64_t begin, std::int64_t end, float* out) const {
        for (std::int64_t c = begin; c < end; ++c) {
            out[c] = bias_ ? bias_[c] : 0;
        }
        for (std::int64_t i = std::max<std::int64_t>(0, taps_ - 1 - t); i < taps_; ++i) {
            const float* h = history_.at(t - (taps_ - 1) + i, 0);
            for (std::int64_t c = begin; c < end; ++c) {
                out[c] += weight_[c * taps_ + i] * h[c * state_block];
            }
        }
        gate(activation_, end - begin, out + begin, nullptr, out + begin);
    }

    const CpuState& history_;
    const float *weight_, *bias_;
    std::int64_t taps_;
    CpuBuffer* out_;
    Activation activation_;
};

class SumLogitsOp final : public CpuOp {
  public:
    SumLogitsOp(const SumLogits& op, const Resolver& resolver)
        : logits_(resolver.buffer(op.logits)), parts_(resolver.buffer(op.parts)) {}

    void run(StepContext& context) override {
        const float temperature = context.step.temperature;
        if (temperature < 0) {
            return;
        }
        for (const std::int32_t r : context.rows) {
            const float* logits = logits_->row(r);
            float* to = parts_->row(r);
            context.session.pool->parallel_for(
                logit_parts(logits_->width), grain_for(16 * logits_a_part),
                [&](std::int64_t begin, std::int64_t end, int) {
                    for (std::int64_t p = begin; p < end; ++p) {
                        const std::int64_t from = p * logits_a_part;
                        const LogitPart part = sum_logits(std::min(logits_a_part, logits_->width - from),
                                                          logits + from, temperature);
                        std::memcpy(to + p * floats_a_part, &part, sizeof(part));
                    }
                });
        }
    }

  private:
    CpuBuffer *logits_, *parts_;
};

} // namespace

std::unique_ptr<CpuOp> make_op(const Embed& op, const Resolver& r) {
    return std::make_unique<EmbedOp>(op, r);
}
std::unique_ptr<CpuOp> make_op(const Norm& op, const Resolver& r) {
    return std::make_unique<NormOp>(op, r);
}
std::unique_ptr<CpuOp> make_op(const Gate& op, const Resolver& r) {
    return std::make_unique<GateOp>(op, r);
}
std::unique_ptr<CpuOp> make_op(const Append& op, const Resolver& r) {
    return std::make_unique<AppendOp>(op, r);
}
std::unique_ptr<CpuOp> make_op(const Convolution& op, const Resolver& r) {
    return std::make_unique<ConvolutionOp>(op, r);
}
std::unique_ptr<CpuOp> make_op(const SumLogits& op, const Resolver& r) {
    return std::make_unique<SumLogitsOp>(op, r);
}

} // namespace ergo::cpu
