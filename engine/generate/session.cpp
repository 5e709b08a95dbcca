// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/session.h"

#include "engine/base/error.h"
#include "engine/model/readout.h"

#include <algorithm>
#include <atomic>
#include <optional>

namespace ergo {

namespace {

std::uint64_t next_session_id() {
    static std::atomic<std::uint64_t> counter{0}; // only uniqueness matters, so this is the one shared number
    return ++counter;
}

Capture make_capture(Executor& executor, Program& program, const ModelPlan::Output& output,
                     const Model& model, std::int64_t rows, std::int64_t keys) {
    const auto& observable = model.observables()[static_cast<std::size_t>(output.wanted.observable)];
    Reading reading = read_output(executor, program, output, observable, rows, keys);
    return {output.wanted.observable, output.wanted.heads, std::move(reading.shape),
            std::move(reading.values)};
}

bool can_fall_back(const OpenedModel& opened, const Error& error) {
    return opened.backend->info().backend != "cpu" && is_device_failure(error);
}

} // namespace

/// A plan for one phase with its program.
struct Session::Prepared {
    ModelPlan plan;
    std::unique_ptr<Program> program;
};

/// An executor with its decode and prompt plans for one set of subscriptions.
struct Session::Runner {
    Runner(const OpenedModel& opened, std::int64_t capacity)
        : model(*opened.model), checkpoint(opened.checkpoint.get()),
          executor(opened.loaded->create_executor(capacity)) {}

    Prepared& prepared(std::int64_t rows) {
        Prepared& slot = rows == 1 ? decode : prompt;
        if (!slot.program) {
            PlanRequest request;
            request.max_rows = rows == 1 ? 1 : prompt_rows;
            request.subscriptions = subscriptions;
            slot.plan = model.build(request);
            slot.program = executor->prepare(slot.plan.plan);
        }
        return slot;
    }

    void set_subscriptions(std::vector<Subscription> wanted) {
        if (wanted != subscriptions) {
            subscriptions = std::move(wanted);
            decode = {};
            prompt = {};
        }
    }

    void take_params(const std::map<std::int32_t, std::vector<float>>& values) {
        for (const auto& [param, value] : values) {
            executor->set_param(ParamId{param}, value);
        }
    }

    void time_ops(bool timed) {
        executor->time_ops(timed);
        decode = {};
        prompt = {};
    }

    /// Runs `ids` at `position` and hands the captures out: of a single token, where `late`, at the next step
    /// or with hand_out(). Returns a view of the last row's logits.
    std::span<const float> step(std::int64_t position, std::span<const std::int32_t> ids,
                                std::uint64_t session, bool recomputed, const FrameSink& to,
                                const CancelToken& cancel, bool late = false) {
        Prepared& phase = prepared(static_cast<std::int64_t>(ids.size()));
        late = late && &phase == &decode;
        state.position = position;
        state.ids.assign(ids.begin(), ids.end());
        if (late) {
            executor->run_meanwhile(*phase.program, state, cancel, [this] { hand_out(); });
        } else {
            hand_out();
            executor->run(*phase.program, state, cancel);
        }
        if (checkpoint) {
            checkpoint->check_undamaged(); // else missing weights would have counted as zeros
        }
        if (to && !phase.plan.outputs.empty()) {
            owed = Frame{session, position, static_cast<std::int32_t>(ids.size()), recomputed, {}};
            if (!late) {
                hand_out(phase, to);
            }
        }
        return executor->read(*phase.program, phase.plan.plan->logits);
    }

    /// The frame of the last single token, if nobody has it yet.
    void hand_out() {
        if (owed) {
            hand_out(decode, sink);
        }
    }

    MemoryNeed taken() const {
        MemoryNeed sum = executor->taken();
        for (const Prepared* phase : {&decode, &prompt}) {
            if (phase->program) {
                sum += phase->program->taken();
            }
        }
        return sum;
    }

    void hand_out(const Prepared& phase, const FrameSink& to) {
        Frame frame = *owed;
        frame.captures.reserve(phase.plan.outputs.size());
        for (const auto& output : phase.plan.outputs) {
            frame.captures.push_back(make_capture(*executor, *phase.program, output, model, frame.rows,
                                                  frame.position + frame.rows));
        }
        owed.reset();
        to(std::move(frame));
    }

    const Model& model;
    const Checkpoint* checkpoint; // null for a model made without files
    std::unique_ptr<Executor> executor;
    std::vector<Subscription> subscriptions;
    FrameSink sink;
    Prepared decode, prompt; // after the executor: programs must go first
    StepState state;
    std::optional<Frame> owed; // of the last step, its numbers still to be read
};

Session::Session(std::shared_ptr<const OpenedModel> opened)
    : opened_(std::move(opened)), id_(next_session_id()) {
    try {
        runner_ = std::make_unique<Runner>(*opened_, opened_->context);
    } catch (const Error& error) {
        fall_back(error, {});
    }
}

Session::~Session() = default;

std::int64_t Session::capacity() const {
    return runner_->executor->capacity();
}

void Session::subscribe(std::vector<Subscription> subscriptions, FrameSink sink) {
    hand_out_frame({});
    runner_->set_subscriptions(std::move(subscriptions));
    runner_->sink = std::move(sink);
}

void Session::let_frames_lag(bool may) {
    frames_lag_ = may;
    if (!may) {
        hand_out_frame({});
    }
}

void Session::hand_out_frame(const CancelToken& cancel) {
    try {
        runner_->hand_out();
    } catch (const Error& error) {
        fall_back(error, cancel); // which has it made again, or throws
    }
}

void Session::set_tokens(std::span<const std::int32_t> ids, const Progress& progress,
                         const CancelToken& cancel, bool recomputed) {
    const auto total = static_cast<std::int64_t>(ids.size());
    if (total > capacity()) {
        throw Error(ErrorKind::resources,
                    "The text is " + std::to_string(total) + " tokens long, but the context holds " +
                        std::to_string(capacity()) + ".",
                    {.advice = "Shorten it, start a new chat, or open the model with a longer context."});
    }
    const auto vocabulary = opened_->model->info().vocabulary;
    for (const std::int32_t id : ids) {
        if (id < 0 || id >= vocabulary) {
            throw Error(ErrorKind::usage, "Token id " + std::to_string(id) + " is not in the vocabulary of " +
                                              std::to_string(vocabulary) + " tokens.");
        }
    }
    hand_out_frame(cancel);
    const auto common = std::mismatch(log_.begin(), log_.end(), ids.begin(), ids.end()).first - log_.begin();
    const auto kept = std::min<std::int64_t>(common, total - 1);
    rewind(std::max<std::int64_t>(kept, 0));
    while (length() < total) {
        cancel.check();
        const std::int64_t at = length(), rows = std::min(prompt_rows, total - at);
        const auto chunk = ids.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(rows));
        const auto logits = step(at, chunk, recomputed, cancel);
        log_.insert(log_.end(), chunk.begin(), chunk.end());
        logits_.assign(logits.begin(), logits.end());
        if (progress) {
            progress(static_cast<double>(length() - kept), static_cast<double>(total - kept),
                     recomputed ? "reading the conversation" : "reading the prompt");
        }
    }
}

void Session::decode(std::int32_t id, const CancelToken& cancel) {
    if (length() >= capacity()) {
        throw Error(ErrorKind::resources, "The context of " + std::to_string(capacity()) + " tokens is full.",
                    {.advice = "Start a new chat, or open the model with a longer context."});
    }
    if (id < 0 || id >= opened_->model->info().vocabulary) {
        throw Error(ErrorKind::usage, "Token id " + std::to_string(id) + " is not in the vocabulary.");
    }
    const auto logits = step(length(), {&id, 1}, false, cancel);
    log_.push_back(id);
    logits_.assign(logits.begin(), logits.end());
}

std::span<const float> Session::step(std::int64_t position, std::span<const std::int32_t> ids,
                                     bool recomputed, const CancelToken& cancel) {
    try {
        return runner_->step(position, ids, id_, recomputed, runner_->sink, cancel, frames_lag_);
    } catch (const Error& error) {
        fall_back(error, cancel); // or throws it again
    }
    return runner_->step(position, ids, id_, recomputed, runner_->sink, cancel, frames_lag_);
}

void Session::fall_back(const Error& error, const CancelToken& cancel) {
    if (!can_fall_back(*opened_, error)) {
        throw Error(error);
    }
    const std::string why =
        "The CPU goes on, because " + opened_->backend->info().name + " failed: " + error.message() + ".";
    std::shared_ptr<const OpenedModel> cpu;
    try {
        cpu = open_elsewhere(*opened_, {"cpu"}, why, {}, cancel);
    } catch (const Error& second) {
        if (second.kind() == ErrorKind::cancelled) {
            throw;
        }
        throw Error(error.kind(), error.message() + ", and the CPU cannot go on either: " + second.message(),
                    {.code = "V-NO-FALLBACK", .advice = second.where().advice});
    }
    carry_over(std::move(cpu), error.kind() != ErrorKind::device, {}, cancel);
    if (fell_back_) {
        fell_back_(opened_, why);
    } else {
        fallback_reason_ = why;
    }
}

void Session::on_fallback(MoveSink sink) {
    fell_back_ = std::move(sink);
    if (fell_back_ && !fallback_reason_.empty()) {
        fell_back_(opened_, std::exchange(fallback_reason_, {}));
    }
}

void Session::move_to(std::shared_ptr<const OpenedModel> other, const Progress& progress,
                      const CancelToken& cancel) {
    if (other->context != opened_->context) {
        throw Error(ErrorKind::usage, "A session of " + std::to_string(opened_->context) +
                                          " positions cannot move to a model opened with " +
                                          std::to_string(other->context) + ".");
    }
    hand_out_frame(cancel);
    carry_over(std::move(other), true, progress, cancel);
}

// `readable`: the old backend may still give away what it remembers; else the log is run again.
void Session::carry_over(std::shared_ptr<const OpenedModel> other, bool readable, const Progress& progress,
                         const CancelToken& cancel) {
    auto next = std::make_unique<Runner>(*other, other->context);
    next->take_params(params_);
    next->executor->time_ops(timed_);
    bool carried = log_.empty();
    std::optional<Frame> owed;
    if (runner_) {
        owed = runner_->owed; // a frame that cannot be read any more
        next->subscriptions = runner_->subscriptions;
        next->sink = runner_->sink;
        if (readable && !carried) {
            try {
                next->executor->import_state(runner_->executor->export_state(length()));
                carried = true;
            } catch (const std::exception&) {
                carried = false; // it cannot be read after all
            }
        }
    }
    runner_ = std::move(next); // the old one goes before its model
    opened_ = std::move(other);
    try {
        for (std::int64_t at = 0; !carried && at < length();) {
            cancel.check();
            const std::int64_t rows = std::min(prompt_rows, length() - at);
            const auto chunk =
                std::span(log_).subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(rows));
            runner_->step(at, chunk, id_, true, {}, cancel);
            at += rows;
            if (progress) {
                progress(static_cast<double>(at), static_cast<double>(length()), "reading the conversation");
            }
        }
        if (owed && owed->position < length()) { // the same step again, for the numbers that it shows
            const auto ids = std::span(log_).subspan(static_cast<std::size_t>(owed->position), 1);
            runner_->step(owed->position, ids, id_, owed->recomputed, runner_->sink, cancel);
        }
    } catch (...) {
        rewind(0); // nothing is remembered that could be relied on
        throw;
    }
}

void Session::rewind(std::int64_t to) {
    if (to < length()) {
        log_.resize(static_cast<std::size_t>(std::max<std::int64_t>(to, 0)));
        logits_.clear();
    }
}

std::unique_ptr<Session> Session::branch(std::int64_t at) const {
    if (at < 0 || at > length()) {
        throw Error(ErrorKind::usage, "A session of " + std::to_string(length()) +
                                          " tokens cannot branch at " + std::to_string(at) + ".");
    }
    auto other = std::make_unique<Session>(opened_);
    other->params_ = params_;
    other->runner_->take_params(params_);
    other->runner_->executor->import_state(runner_->executor->export_state(at));
    other->log_.assign(log_.begin(), log_.begin() + at);
    if (at == length()) {
        other->logits_ = logits_;
    }
    return other;
}

void Session::recapture(const std::vector<Subscription>& subscriptions, const FrameSink& sink,
                        const Progress& progress, const CancelToken& cancel) {
    if (log_.empty()) {
        return;
    }
    try {
        recapture_on(*opened_, subscriptions, sink, progress, cancel);
    } catch (const Error& error) {
        if (!can_fall_back(*opened_, error)) {
            throw;
        }
        // Where a second executor had no room, the first may well go on.
        recapture_on(*open_elsewhere(*opened_, {"cpu"}, {}, progress, cancel), subscriptions, sink, progress,
                     cancel);
    }
}

void Session::recapture_on(const OpenedModel& where, const std::vector<Subscription>& subscriptions,
                           const FrameSink& sink, const Progress& progress, const CancelToken& cancel) {
    // The second pass runs with the parameters the session has now; that is what "recomputed" says.
    Runner second(where, where.context);
    second.take_params(params_);
    second.set_subscriptions(subscriptions);
    for (std::int64_t at = 0; at < length(); at += prompt_rows) {
        cancel.check();
        const std::int64_t rows = std::min(prompt_rows, length() - at);
        second.step(at, std::span(log_).subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(rows)),
                    id_, true, sink, cancel);
        if (progress) {
            progress(static_cast<double>(at + rows), static_cast<double>(length()), "looking back");
        }
    }
}

void Session::set_param(ParamId param, std::span<const float> values) {
    runner_->executor->set_param(param, values);
    params_[param.index].assign(values.begin(), values.end());
}

MemoryNeed Session::taken() const {
    return runner_->taken();
}

void Session::time_ops(bool timed) {
    hand_out_frame({});
    timed_ = timed;
    runner_->time_ops(timed);
}

std::vector<OpTime> Session::op_times(bool prompt) const {
    const Prepared& phase = prompt ? runner_->prompt : runner_->decode;
    return phase.program ? phase.program->op_times() : std::vector<OpTime>{};
}

Counters Session::counters() const {
    return runner_->executor->counters();
}

} // namespace ergo
