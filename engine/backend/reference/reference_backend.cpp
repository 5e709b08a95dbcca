// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/reference/reference_backend.h"

#include "engine/backend/logit_parts.h"
#include "engine/backend/reference/grouped.h"
#include "engine/backend/reference/reference_ops.h"
#include "engine/backend/rounded_state.h"
#include "engine/base/error.h"

#include <algorithm>
#include <cstring>

namespace ergo {

namespace {

using reference::In;
using reference::Out;
using Extent = BufferInfo::Extent;

std::size_t index(std::int64_t i) {
    return static_cast<std::size_t>(i);
}

struct ReferenceProgram final : Program {
    std::shared_ptr<const Plan> plan;
    std::vector<std::vector<float>> buffers;
    std::int64_t rows = 0, keys = 0; // of the last run

    MemoryNeed taken() const override {
        MemoryNeed taken;
        for (const std::vector<float>& buffer : buffers) {
            taken.scratch += buffer.capacity() * sizeof(float);
        }
        return taken;
    }
};

/// A weight as it is run; whole numbers too where it has them.
struct ReferenceWeight {
    std::vector<float> values;
    DType form = DType::f32; // of these
    std::vector<GroupedRow> rows;
    std::vector<std::vector<SuperBlock>> blocks; // of a row
};
using Weights = std::vector<ReferenceWeight>;

std::uint64_t super_blocks_of(const WeightInfo& info) {
    const auto form = info.whole_numbers();
    return form && is_super_block(*form) ? index(info.tensor.size() / super_inputs) : 0;
}

std::uint64_t bytes_of(const WeightInfo& info) {
    const std::int64_t groups =
        info.grouped() ? info.tensor.shape()[0] * groups_of(info.tensor.shape()[1]) : 0;
    return static_cast<std::uint64_t>(info.tensor.size()) * sizeof(float) +
           static_cast<std::uint64_t>(groups * (group_inputs + 4)) +
           super_blocks_of(info) * sizeof(SuperBlock);
}

std::vector<std::vector<SuperBlock>> taken_apart(const Tensor& matrix) {
    std::vector<std::vector<SuperBlock>> rows(index(matrix.shape()[0]));
    const std::byte* from = matrix.bytes().data();
    for (std::vector<SuperBlock>& row : rows) {
        row.resize(index(matrix.shape()[1] / super_inputs));
        for (SuperBlock& block : row) {
            take_apart(matrix.dtype(), from, block);
            from += block_bytes(matrix.dtype());
        }
    }
    return rows;
}

ReferenceWeight made_ready(const WeightInfo& info) {
    ReferenceWeight weight{info.values(), DType::f32, {}, {}};
    if (const auto form = info.grouped()) {
        weight.form = *form;
        weight.rows.resize(index(info.tensor.shape()[0]));
        for (std::size_t r = 0; r < weight.rows.size(); ++r) {
            read_grouped_row(info.tensor, *form, static_cast<std::int64_t>(r), weight.rows[r]);
        }
    } else if (super_blocks_of(info) > 0) {
        weight.form = info.type();
        weight.blocks = taken_apart(info.tensor);
    }
    return weight;
}

/// One step: resolves handles to rows and calls the op's reference.
class Step {
  public:
    Step(ReferenceProgram& program, const Weights& weights, const std::vector<std::vector<float>>& params,
         const Tables& tables, std::vector<std::vector<float>>& states, const StepState& step)
        : program_(program), weights_(weights), params_(params), tables_(tables), states_(states),
          step_(step) {}

    void run(const Op& op) {
        std::visit([&](const auto& body) { each_row(op, body); }, op.body);
    }

  private:
    template <class Body> void each_row(const Op& op, const Body& body) {
        const BufferId main = main_output(op);
        const bool last = main && info(main).extent == Extent::last_row;
        for (std::int64_t r = last ? step_.rows() - 1 : 0; r < step_.rows(); ++r) {
            if (!op.when || in(op.when.shares, r)[index(op.when.path)] != 0) {
                apply(body, r);
            }
        }
    }

    const BufferInfo& info(BufferId id) const { return program_.plan->buffers[index(id.index)]; }
    std::int64_t position(std::int64_t r) const { return step_.position + r; }

    Out out(BufferId id, std::int64_t r) {
        if (!id) {
            return {};
        }
        const std::int64_t stride =
            info(id).width * (info(id).extent == Extent::rows_keys ? program_.keys : 1);
        const std::int64_t row = info(id).extent == Extent::last_row ? 0 : r;
        return Out(program_.buffers[index(id.index)]).subspan(index(row * stride), index(stride));
    }
    In in(BufferId id, std::int64_t r) { return out(id, r); }
    In weight(WeightId id) const { return id ? In(weights_[index(id.index)].values) : In{}; }
    In param(ParamId id) const { return id ? In(params_[index(id.index)]) : In{}; }
    In table_row(WeightId id, std::int64_t t, std::int64_t dim) const {
        return id ? weight(id).subspan(index(t * dim), index(dim)) : In{};
    }
    std::int64_t width(StateId id) const { return tables_.states[index(id.index)].width; }
    In state(StateId id, std::int64_t length) const {
        return id ? In(states_[index(id.index)]).first(index(length * width(id))) : In{};
    }
    Out state_row(StateId id, std::int64_t t) {
        return Out(states_[index(id.index)]).subspan(index(t * width(id)), index(width(id)));
    }

    void apply(const Embed& op, std::int64_t r) {
        const Out row = out(op.out, r);
        const In from = weight(op.table).subspan(index(step_.ids[index(r)]) * row.size(), row.size());
        std::copy(from.begin(), from.end(), row.begin());
    }
    void apply(const Norm& op, std::int64_t r) {
        const std::vector<float> copy(in(op.in, r).begin(),
                                      in(op.in, r).end()); // in and out may be one buffer
        const std::size_t width = copy.size() / index(op.heads);
        for (std::size_t h = 0; h < index(op.heads); ++h) {
            reference::norm(op.kind, op.eps, In(copy).subspan(h * width, width), weight(op.weight),
                            weight(op.bias), out(op.out, r).subspan(h * width, width));
        }
    }
    void apply(const Linear& op, std::int64_t r) {
        const ReferenceWeight& factor = weights_[index(op.weight.index)];
        if (!factor.rows.empty()) {
            return reference::linear_grouped(factor.form, op.activation,
                                             reference::round_input(in(op.in, r), op.rounding), factor.rows,
                                             weight(op.bias), out(op.out, r));
        }
        if (!factor.blocks.empty()) {
            return reference::linear_super(factor.form, op.activation,
                                           reference::round_input(in(op.in, r), op.rounding), factor.blocks,
                                           weight(op.bias), out(op.out, r));
        }
        reference::linear(op.activation, in(op.in, r), weight(op.weight), weight(op.bias), out(op.out, r));
    }
    void apply(const Gate& op, std::int64_t r) {
        const In b = op.b ? in(op.b, r).subspan(index(op.b_offset)) : In{};
        reference::gate(op.activation, in(op.a, r).subspan(index(op.a_offset)), b, out(op.out, r));
    }
    void apply(const Append& op, std::int64_t r) {
        const In row = in(op.in, r);
        std::copy(row.begin(), row.end(), state_row(op.state, position(r)).begin());
    }
    void apply(const Convolution& op, std::int64_t r) {
        const std::int64_t t = position(r);
        reference::convolution(op.activation, state(op.history, t + 1), weight(op.weight), weight(op.bias), t,
                               out(op.out, r));
    }
    void apply(const Rotate& op, std::int64_t r) {
        turn(op, in(op.in, r), r, out(op.out, r), out(op.distance, r));
    }
    void apply(const AppendKeyValue& op, std::int64_t r) {
        const std::int64_t t = position(r);
        const Out balls = op.ball.mode == Ball::Mode::off ? Out{} : state_row(op.distances, t);
        turn(op, in(op.key, r), r, state_row(op.keys, t), balls);
        reference::apply_gain(op.value_dim, in(op.value, r), table_row(op.rotation.gain, t, op.value_dim),
                              state_row(op.values, t));
        for (const StateId id : {op.keys, op.values}) {
            round_row(tables_.states[index(id.index)], state_row(id, t));
        }
    }
    template <class Body> void turn(const Body& op, In from, std::int64_t r, Out to, Out distance) {
        const std::int64_t t = position(r);
        reference::rotate(op.rotation.pairing, op.heads, op.dim, from, param(op.diagonal),
                          table_row(op.rotation.cos, t, op.dim), table_row(op.rotation.sin, t, op.dim), to);
        if (!distance.empty()) {
            reference::ball_distance(op.ball, op.dim, from, to, param(op.ball.origin),
                                     param(op.ball.diagonal), distance);
        }
    }
    void apply(const Attention& op, std::int64_t r) {
        reference::AttentionInput input;
        input.t = position(r);
        input.keys = program_.keys;
        input.query = in(op.query, r);
        input.query_distance = op.ball.mode == Ball::Mode::off ? In{} : in(op.query_distance, r);
        input.key_state = state(op.keys, input.keys);
        input.value_state = state(op.values, input.keys);
        input.distances = op.ball.mode == Ball::Mode::off ? In{} : state(op.distances, input.keys);
        input.diagonal = param(op.diagonal);
        input.alpha = param(op.alpha);
        input.mask = param(op.mask);
        input.radius = param(op.ball.radius);
        input.mass = param(op.gravity.mass);
        const RowRequest& rows = op.rows;
        reference::attention(op, input,
                             {.out = out(op.out, r),
                              .logits = out(rows.logits, r),
                              .scores = out(rows.scores, r),
                              .maximum = out(rows.maximum, r),
                              .sum = out(rows.sum, r),
                              .kept = out(rows.kept, r),
                              .entropy = out(rows.entropy, r),
                              .top_keys = out(rows.top_keys, r),
                              .top_weights = out(rows.top_weights, r)});
    }
    void apply(const KeptShare& op, std::int64_t r) {
        const std::int64_t t = position(r);
        reference::kept_share(op, state(op.distances, t + 1), param(op.ball.radius), t, out(op.out, r));
    }
    void apply(const Route& op, std::int64_t r) {
        reference::route(op,
                         {.logits = in(op.logits, r),
                          .offset = in(op.offset, r),
                          .constant_offset = weight(op.constant_offset),
                          .mask = param(op.mask),
                          .temperature = param(op.temperature)[0],
                          .top_k = param(op.top_k)[0]},
                         out(op.total, r), out(op.shares, r));
    }
    void apply(const Mix& op, std::int64_t r) {
        reference::MixInput input;
        for (const BufferId part : op.parts) {
            input.parts.push_back(in(part, r));
        }
        input.shares = in(op.shares, r);
        input.gate = in(op.gate, r);
        input.constant_gate = weight(op.constant_gate);
        input.layer_scale = weight(op.layer_scale);
        input.residual = in(op.residual, r);
        reference::mix(op, input, out(op.out, r));
    }
    void apply(const DepthRoute& op, std::int64_t r) {
        reference::DepthRouteInput input;
        for (const BufferId source : op.sources) {
            input.sources.push_back(in(source, r));
        }
        input.query = weight(op.query);
        input.mask = param(op.mask);
        input.temperature = op.temperature ? param(op.temperature)[0] : 1;
        reference::depth_route(op, input, out(op.weights, r), out(op.out, r));
    }

    void apply(const SumLogits& op, std::int64_t r) {
        if (step_.temperature < 0) {
            return;
        }
        const std::vector<LogitPart> parts = sum_parts(in(op.logits, r), step_.temperature);
        std::memcpy(out(op.parts, r).data(), parts.data(), parts.size() * sizeof(LogitPart));
    }

    ReferenceProgram& program_;
    const Weights& weights_;
    const std::vector<std::vector<float>>& params_;
    const Tables& tables_;
    std::vector<std::vector<float>>& states_;
    const StepState& step_;
};

class ReferenceExecutor final : public Executor {
  public:
    ReferenceExecutor(std::shared_ptr<const Tables> tables, std::shared_ptr<const Weights> weights,
                      std::int64_t capacity)
        : tables_(std::move(tables)), weights_(std::move(weights)), capacity_(capacity) {
        for (const ParamInfo& info : tables_->params) {
            params_.push_back(info.values);
        }
        for (const StateInfo& info : tables_->states) {
            states_.emplace_back(index(info.width * capacity));
        }
    }

    std::unique_ptr<Program> prepare(std::shared_ptr<const Plan> plan) override {
        validate(*plan, *tables_);
        auto program = std::make_unique<ReferenceProgram>();
        program->buffers.resize(plan->buffers.size());
        program->plan = std::move(plan);
        return program;
    }

    void run(Program& prepared, const StepState& step, const CancelToken& cancel) override {
        auto& program = dynamic_cast<ReferenceProgram&>(prepared);
        validate_step(*program.plan, *tables_, step, capacity_);
        program.rows = step.rows();
        program.keys = step.position + step.rows();
        for (std::size_t b = 0; b < program.buffers.size(); ++b) {
            const BufferInfo& info = program.plan->buffers[b];
            const std::int64_t rows = info.extent == Extent::last_row ? 1 : program.rows;
            program.buffers[b].resize(
                index(rows * info.width * (info.extent == Extent::rows_keys ? program.keys : 1)));
        }
        Step runner(program, *weights_, params_, *tables_, states_, step);
        for (const Op& op : program.plan->ops) {
            cancel.check();
            runner.run(op);
        }
        ++counters_.forward_passes;
        counters_.host_ops += program.plan->ops.size();
    }

    std::span<const float> read(Program& program, BufferId buffer) override {
        return dynamic_cast<ReferenceProgram&>(program).buffers.at(index(buffer.index));
    }

    void set_param(ParamId param, std::span<const float> values) override {
        auto& old = params_.at(index(param.index));
        if (values.size() != old.size()) {
            throw Error(ErrorKind::usage, "parameter '" + tables_->params[index(param.index)].name +
                                              "' has " + std::to_string(old.size()) + " values, not " +
                                              std::to_string(values.size()));
        }
        old.assign(values.begin(), values.end());
    }
    std::vector<float> param(ParamId param) const override { return params_.at(index(param.index)); }

    std::vector<float> read_state(StateId state, std::int64_t length) override {
        const auto& all = states_.at(index(state.index));
        const std::int64_t width = tables_->states[index(state.index)].width;
        if (length < 0 || length > capacity_) {
            throw Error(ErrorKind::usage, "a state of " + std::to_string(capacity_) +
                                              " positions has no row " + std::to_string(length));
        }
        return {all.begin(), all.begin() + length * width};
    }

    StateSnapshot export_state(std::int64_t length) override {
        StateSnapshot snapshot{length, {}};
        for (std::size_t s = 0; s < states_.size(); ++s) {
            snapshot.states.push_back(read_state(StateId{static_cast<std::int32_t>(s)}, length));
        }
        return snapshot;
    }

    void import_state(const StateSnapshot& snapshot) override {
        bool fits =
            snapshot.length >= 0 && snapshot.length <= capacity_ && snapshot.states.size() == states_.size();
        for (std::size_t s = 0; fits && s < states_.size(); ++s) {
            fits = snapshot.states[s].size() == index(snapshot.length * tables_->states[s].width);
        }
        if (!fits) {
            throw Error(ErrorKind::usage, "the snapshot of " + std::to_string(snapshot.length) +
                                              " positions does not fit this model and its capacity of " +
                                              std::to_string(capacity_));
        }
        for (std::size_t s = 0; s < states_.size(); ++s) {
            std::copy(snapshot.states[s].begin(), snapshot.states[s].end(), states_[s].begin());
            const auto width = index(tables_->states[s].width);
            for (std::size_t at = 0; at < snapshot.states[s].size(); at += width) {
                round_row(tables_->states[s], std::span(states_[s]).subspan(at, width));
            }
        }
    }

    std::int64_t capacity() const override { return capacity_; }
    Counters counters() const override { return counters_; }
    MemoryNeed taken() const override {
        MemoryNeed taken;
        for (const std::vector<float>& state : states_) {
            taken.cache += state.size() * sizeof(float);
        }
        return taken;
    }

  private:
    std::shared_ptr<const Tables> tables_;
    std::shared_ptr<const Weights> weights_;
    std::int64_t capacity_;
    std::vector<std::vector<float>> params_, states_;
    Counters counters_;
};

class ReferenceModel final : public LoadedModel {
  public:
    explicit ReferenceModel(std::shared_ptr<const Tables> tables) : tables_(std::move(tables)) {
        auto weights = std::make_shared<Weights>();
        for (const WeightInfo& info : tables_->weights) {
            weights->push_back(made_ready(info));
            bytes_ += bytes_of(info);
        }
        weights_ = std::move(weights);
    }
    std::unique_ptr<Executor> create_executor(std::int64_t capacity) override {
        return std::make_unique<ReferenceExecutor>(tables_, weights_, capacity);
    }
    std::uint64_t weight_bytes() const override { return bytes_; }
    MemoryNeed taken() const override {
        MemoryNeed taken;
        taken.weights = bytes_;
        return taken;
    }

  private:
    std::shared_ptr<const Tables> tables_;
    std::shared_ptr<const Weights> weights_;
    std::uint64_t bytes_ = 0;
};

class ReferenceBackend final : public Backend {
  public:
    DeviceInfo info() const override {
        DeviceInfo info;
        info.backend = "reference";
        info.name = "scalar float32 reference";
        return info;
    }
    MemoryNeed need(const Tables& tables, std::int64_t capacity,
                    std::span<const Plan* const> plans) const override {
        MemoryNeed need; // everything is float32 (whole numbers stand beside it), nothing is shared
        for (const WeightInfo& weight : tables.weights) {
            need.weights += bytes_of(weight);
        }
        for (const StateInfo& state : tables.states) {
            need.cache += static_cast<std::uint64_t>(state.width * capacity) * sizeof(float);
        }
        for (const Plan* plan : plans) {
            for (const BufferInfo& buffer : plan->buffers) {
                const std::int64_t rows = buffer.extent == Extent::last_row ? 1 : plan->max_rows;
                const std::int64_t keys = buffer.extent == Extent::rows_keys ? capacity : 1;
                need.scratch += static_cast<std::uint64_t>(rows * keys * buffer.width) * sizeof(float);
            }
        }
        return need;
    }
    DType held_as(DType) const override { return DType::f32; }
    std::unique_ptr<LoadedModel> load(std::shared_ptr<const Tables> tables, const Progress&,
                                      const CancelToken& cancel) override {
        cancel.check();
        return std::make_unique<ReferenceModel>(std::move(tables));
    }
};

} // namespace

std::shared_ptr<Backend> make_reference_backend() {
    return std::make_shared<ReferenceBackend>();
}

} // namespace ergo
