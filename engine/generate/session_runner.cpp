// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/session_runner.h"

#include "engine/model/readout.h"

#include <utility>

namespace ergo {

namespace {

Capture make_capture(Executor& executor, Program& program, const ModelPlan::Output& output,
                     const Model& model, std::int64_t rows, std::int64_t keys) {
    const auto& observable = model.observables()[static_cast<std::size_t>(output.wanted.observable)];
    Reading reading = read_output(executor, program, output, observable, rows, keys);
    return {output.wanted.observable, output.wanted.heads, std::move(reading.shape),
            std::move(reading.values)};
}

} // namespace

SessionRunner::SessionRunner(const OpenedModel& opened)
    : executor(opened.loaded->create_executor(opened.context)), model_(*opened.model),
      checkpoint_(opened.checkpoint.get()), on_device_(opened.backend->info().backend == "vulkan") {}

SessionRunner::Prepared& SessionRunner::prepared(std::int64_t rows) {
    Prepared& slot = rows == 1 ? decode_ : prompt_;
    if (!slot.program) {
        PlanRequest request;
        request.max_rows = rows == 1 ? 1 : prompt_rows;
        request.subscriptions = subscriptions;
        slot.plan = model_.build(request);
        slot.program = executor->prepare(slot.plan.plan);
    }
    return slot;
}

void SessionRunner::prepare() {
    prepared(prompt_rows);
    prepared(1);
}

void SessionRunner::set_subscriptions(std::vector<Subscription> wanted) {
    if (wanted != subscriptions) {
        subscriptions = std::move(wanted);
        decode_ = {};
        prompt_ = {};
    }
}

void SessionRunner::take_params(const Params& values) {
    for (const auto& [param, value] : values) {
        executor->set_param(ParamId{param}, value);
    }
}

void SessionRunner::time_ops(bool timed) {
    executor->time_ops(timed);
    decode_ = {};
    prompt_ = {};
}

void SessionRunner::go_on_from(SessionRunner& other, const Params& params, std::int64_t length) {
    set_subscriptions(other.subscriptions);
    sink = other.sink;
    take_params(params);
    if (length > 0) {
        executor->import_state(other.executor->export_state(length));
    }
}

SummedLogits SessionRunner::step(std::int64_t position, std::span<const std::int32_t> ids,
                                 std::uint64_t session, bool recomputed, const FrameSink& to,
                                 const CancelToken& cancel, bool late) {
    Prepared& phase = prepared(static_cast<std::int64_t>(ids.size()));
    late = late && &phase == &decode_;
    state_.position = position;
    state_.ids.assign(ids.begin(), ids.end());
    state_.logits = logits.wanted;
    state_.temperature = logits.temperature;
    if (late) {
        executor->run_meanwhile(*phase.program, state_, cancel, [this] { hand_out(); });
    } else {
        hand_out();
        executor->run(*phase.program, state_, cancel);
    }
    if (checkpoint_) {
        checkpoint_->check_undamaged(); // else missing weights would have counted as zeros
    }
    if (to && !phase.plan.outputs.empty()) {
        owed = Frame{session, position, static_cast<std::int32_t>(ids.size()), recomputed, {}};
        if (!late) {
            hand_out(phase, to);
        }
    }
    return logits_of(phase);
}

SummedLogits SessionRunner::logits_of(const Prepared& phase) {
    if (!logits.wanted) {
        return {};
    }
    SummedLogits summed{executor->read(*phase.program, phase.plan.plan->logits)};
    if (logits.temperature >= 0) {
        const auto parts = executor->read(*phase.program, phase.plan.plan->logit_parts);
        summed.parts = {reinterpret_cast<const LogitPart*>(parts.data()),
                        parts.size() / std::size_t{floats_a_part}};
        summed.temperature = logits.temperature;
    }
    return summed;
}

void SessionRunner::hand_out() {
    if (owed) {
        hand_out(decode_, sink);
    }
}

void SessionRunner::hand_out(const Prepared& phase, const FrameSink& to) {
    Frame frame = *owed;
    frame.captures.reserve(phase.plan.outputs.size());
    for (const auto& output : phase.plan.outputs) {
        frame.captures.push_back(
            make_capture(*executor, *phase.program, output, model_, frame.rows, frame.position + frame.rows));
    }
    owed.reset();
    to(std::move(frame));
}

MemoryNeed SessionRunner::taken() const {
    MemoryNeed sum = executor->taken();
    for (const Prepared* phase : {&decode_, &prompt_}) {
        if (phase->program) {
            sum += phase->program->taken();
        }
    }
    return sum;
}

std::vector<OpTime> SessionRunner::op_times(bool prompt) const {
    const Prepared& phase = prompt ? prompt_ : decode_;
    return phase.program ? phase.program->op_times() : std::vector<OpTime>{};
}

} // namespace ergo
