// SPDX-License-Identifier: GPL-3.0-or-later
// Routing and mixing of paths (MoA specification §6.3) and of depth sources (Kotodama specification §2.3).
#include "engine/backend/cpu/loops.h"

#include <array>
#include <cmath>

namespace ergo::cpu {

namespace {

constexpr std::size_t most_paths = 64; // validate() allows no more

float sigmoid(float x) {
    return 1 / (1 + std::exp(-x));
}

class RouteOp final : public CpuOp {
  public:
    RouteOp(const Route& op, const Resolver& resolver)
        : op_(op), logits_(resolver.buffer(op.logits)), offset_(resolver.buffer(op.offset)),
          total_(resolver.buffer(op.total)), shares_(resolver.buffer(op.shares)),
          constant_(resolver.floats(op.constant_offset)), session_(resolver.session) {}

    void run(StepContext& context) override {
        for (const std::int32_t r : context.rows) {
            row(r);
        }
        if (constant_) {
            context.count_weight(static_cast<std::uint64_t>(op_.paths) * sizeof(float));
        }
    }

  private:
    void row(std::int32_t r) {
        const auto paths = static_cast<std::size_t>(op_.paths);
        const float* logits = logits_->row(r);
        const float* offset = offset_ ? offset_->row(r) : constant_;
        const CpuParam* mask = session_.param(op_.mask);
        std::array<float, most_paths> total;
        std::array<bool, most_paths> present, kept{};
        for (std::size_t p = 0; p < paths; ++p) {
            total[p] = logits[p] + (!offset ? 0 : op_.tanh_offset ? std::tanh(offset[p]) : offset[p]);
            present[p] = !mask || mask->values[p] != 0;
        }
        keep_largest(paths, total, present, kept);
        const float temperature = session_.param(op_.temperature)->values[0];
        const auto& counted = op_.renormalise ? kept : present;
        float top = -INFINITY, sum = 0;
        for (std::size_t p = 0; p < paths; ++p) {
            top = counted[p] ? std::max(top, total[p] / temperature) : top;
        }
        for (std::size_t p = 0; p < paths; ++p) {
            sum += counted[p] ? std::exp(total[p] / temperature - top) : 0;
        }
        for (std::size_t p = 0; p < paths; ++p) {
            shares_->row(r)[p] = kept[p] ? std::exp(total[p] / temperature - top) / sum : 0;
            if (total_) {
                total_->row(r)[p] = total[p];
            }
        }
    }

    // Of equal values the lower index; NaN after every number.
    void keep_largest(std::size_t paths, const std::array<float, most_paths>& total,
                      const std::array<bool, most_paths>& present, std::array<bool, most_paths>& kept) const {
        const float wanted =
            std::clamp(session_.param(op_.top_k)->values[0], 1.0f, static_cast<float>(paths));
        for (std::int64_t i = std::lround(wanted); i > 0; --i) {
            std::size_t best = paths;
            for (std::size_t p = 0; p < paths; ++p) {
                if (present[p] && !kept[p] &&
                    (best == paths || total[p] > total[best] ||
                     (std::isnan(total[best]) && !std::isnan(total[p])))) {
                    best = p;
                }
            }
            if (best < paths) {
                kept[best] = true;
            }
        }
    }

    Route op_;
    CpuBuffer *logits_, *offset_, *total_, *shares_;
    const float* constant_;
    const CpuSession& session_;
};

class MixOp final : public CpuOp {
  public:
    MixOp(const Mix& op, const Resolver& resolver)
        : shares_(resolver.buffer(op.shares)), gate_(resolver.buffer(op.gate)),
          residual_(resolver.buffer(op.residual)), out_(resolver.buffer(op.out)), gate_width_(op.gate_width) {
        for (const BufferId part : op.parts) {
            parts_.push_back(resolver.buffer(part));
        }
        bake(op, resolver);
    }

    void run(StepContext& context) override {
        for_rows(context, static_cast<std::int64_t>(parts_.size()) * out_->width,
                 [&](std::int32_t r, int) { row(r); });
        for (std::size_t p = 0; p < parts_.size(); ++p) {
            const bool taken = std::any_of(context.rows.begin(), context.rows.end(), [&](std::int32_t r) {
                return !shares_ || shares_->row(r)[p] != 0;
            });
            context.count_weight(taken ? constant_bytes_ : 0);
        }
    }

  private:
    // Layer scale and constant gate are weights: their product is formed once.
    void bake(const Mix& op, const Resolver& resolver) {
        const std::size_t parts = parts_.size(), width = static_cast<std::size_t>(out_->width);
        const auto size = [&](WeightId id) {
            return static_cast<std::size_t>(resolver.weight(id)->rows * resolver.weight(id)->columns);
        };
        if (!op.layer_scale && !op.constant_gate) {
            return;
        }
        factors_.assign(parts * width, 1);
        if (op.layer_scale) {
            const float* scale = resolver.floats(op.layer_scale);
            const bool shared = size(op.layer_scale) == width;
            for (std::size_t i = 0; i < factors_.size(); ++i) {
                factors_[i] *= scale[shared ? i % width : i];
            }
        }
        if (op.constant_gate) {
            const float* gate = resolver.floats(op.constant_gate);
            const bool scalar = size(op.constant_gate) == parts;
            for (std::size_t i = 0; i < factors_.size(); ++i) {
                factors_[i] *= 2 * sigmoid(gate[scalar ? i / width : i]);
            }
        }
        constant_bytes_ = width * sizeof(float);
    }

    void row(std::int32_t r) {
        std::array<MixPart, most_paths> used;
        std::int64_t count = 0;
        const auto width = static_cast<std::size_t>(out_->width);
        for (std::size_t p = 0; p < parts_.size(); ++p) {
            const float share = shares_ ? shares_->row(r)[p] : 1;
            if (share == 0) {
                continue; // the part's row may be anything
            }
            MixPart& part = used[static_cast<std::size_t>(count++)];
            part.y = parts_[p]->row(r);
            part.scale = share;
            part.factor = factors_.empty() ? nullptr : factors_.data() + p * width;
            if (gate_ && gate_width_ == 1) {
                part.scale *= 2 * sigmoid(gate_->row(r)[p]);
            } else if (gate_) {
                part.gate = gate_->row(r) + p * width;
            }
        }
        mix(used.data(), count, out_->width, residual_ ? residual_->row(r) : nullptr, out_->row(r));
    }

    std::vector<CpuBuffer*> parts_;
    CpuBuffer *shares_, *gate_, *residual_, *out_;
    std::int64_t gate_width_;
    std::vector<float> factors_; // [parts, width]; empty: 1
    std::uint64_t constant_bytes_ = 0;
};

class DepthRouteOp final : public CpuOp {
  public:
    DepthRouteOp(const DepthRoute& op, const Resolver& resolver)
        : eps_(op.eps), query_(resolver.floats(op.query)), mask_(resolver.session.param(op.mask)),
          temperature_(resolver.session.param(op.temperature)), weights_(resolver.buffer(op.weights)),
          out_(resolver.buffer(op.out)) {
        for (const BufferId source : op.sources) {
            sources_.push_back(resolver.buffer(source));
        }
    }

    void run(StepContext& context) override {
        for_rows(context, 3 * static_cast<std::int64_t>(sources_.size()) * out_->width,
                 [&](std::int32_t r, int) { row(r); });
        context.count_weight(static_cast<std::uint64_t>(out_->width) * sizeof(float));
    }

  private:
    void row(std::int32_t r) {
        const std::size_t count = sources_.size();
        std::array<MixPart, most_paths> parts;
        std::array<float, most_paths> logits;
        const float temperature = temperature_ ? temperature_->values[0] : 1;
        float top = -INFINITY, sum = 0;
        for (std::size_t s = 0; s < count; ++s) {
            parts[s].y = sources_[s]->row(r);
            const bool present = !mask_ || mask_->values[s] != 0;
            logits[s] =
                present ? depth_logit(eps_, out_->width, query_, parts[s].y) / temperature : -INFINITY;
            top = std::max(top, logits[s]);
        }
        for (std::size_t s = 0; s < count; ++s) {
            parts[s].scale = logits[s] == -INFINITY ? 0 : std::exp(logits[s] - top);
            sum += parts[s].scale;
        }
        std::int64_t used = 0;
        for (std::size_t s = 0; s < count; ++s) {
            const float weight = sum == 0 ? 0 : parts[s].scale / sum;
            if (weights_) {
                weights_->row(r)[s] = weight;
            }
            if (weight != 0) { // what has no weight is not read
                parts[static_cast<std::size_t>(used)].y = parts[s].y;
                parts[static_cast<std::size_t>(used++)].scale = weight;
            }
        }
        mix(parts.data(), used, out_->width, nullptr, out_->row(r));
    }

    std::vector<CpuBuffer*> sources_;
    float eps_;
    const float* query_;
    const CpuParam *mask_, *temperature_;
    CpuBuffer *weights_, *out_;
};

} // namespace

std::unique_ptr<CpuOp> make_op(const Route& op, const Resolver& r) {
    return std::make_unique<RouteOp>(op, r);
}
std::unique_ptr<CpuOp> make_op(const Mix& op, const Resolver& r) {
    return std::make_unique<MixOp>(op, r);
}
std::unique_ptr<CpuOp> make_op(const DepthRoute& op, const Resolver& r) {
    return std::make_unique<DepthRouteOp>(op, r);
}

} // namespace ergo::cpu
