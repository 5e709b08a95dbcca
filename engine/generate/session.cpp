// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/session.h"

#include "engine/base/error.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <future>
#include <optional>
#include <utility>

namespace ergo {

namespace {

std::uint64_t next_session_id() {
    static std::atomic<std::uint64_t> counter{0}; // only uniqueness matters, so this is the one shared number
    return ++counter;
}

// Shorter pieces are read by the writer: they are not worth carrying everything to the reader and back.
constexpr std::int64_t least_rows_to_hand_over = 16;

/// The backend that may fail: of a pair the one that is not the CPU.
const Backend& device_of(const OpenedModel& opened) {
    const bool other = opened.writer && opened.backend->info().backend == "cpu";
    return other ? *opened.writer->backend : *opened.backend;
}

bool can_fall_back(const OpenedModel& opened, const Error& error) {
    return device_of(opened).info().backend != "cpu" && is_device_failure(error);
}

} // namespace

struct Session::Compiling {
    std::shared_ptr<const OpenedModel> opened;
    std::unique_ptr<SessionRunner> runner;
    std::future<void> done; // last: whoever drops it waits for it first
};

Session::Session(std::shared_ptr<const OpenedModel> opened)
    : opened_(std::move(opened)), id_(next_session_id()) {
    try {
        runner_ = std::make_unique<SessionRunner>(*opened_);
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
        wanted_.wanted = at + rows == total; // those of the last token
        const auto logits = step(at, chunk, recomputed, cancel);
        log_.insert(log_.end(), chunk.begin(), chunk.end());
        keep(logits);
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
    wanted_.wanted = true;
    const auto logits = step(length(), {&id, 1}, false, cancel);
    log_.push_back(id);
    keep(logits);
}

void Session::keep(const SummedLogits& logits) {
    logits_.assign(logits.logits.begin(), logits.logits.end());
    parts_.assign(logits.parts.begin(), logits.parts.end());
    parts_temperature_ = logits.temperature;
}

SummedLogits Session::step(std::int64_t position, std::span<const std::int32_t> ids, bool recomputed,
                           const CancelToken& cancel) {
    try {
        choose_runner(static_cast<std::int64_t>(ids.size()), cancel);
        runner_->logits = wanted_;
        return runner_->step(position, ids, id_, recomputed, runner_->sink, cancel, frames_lag_);
    } catch (const Error& error) {
        fall_back(error, cancel); // or throws it again
    }
    runner_->logits = wanted_;
    return runner_->step(position, ids, id_, recomputed, runner_->sink, cancel, frames_lag_);
}

// Which backend takes a step of `rows` rows.
void Session::choose_runner(std::int64_t rows, const CancelToken& cancel) {
    if (patience_ >= 0) {
        compile_aside(cancel);
    }
    using namespace std::chrono_literals;
    if (compiling_ && compiling_->done.wait_for(0s) == std::future_status::ready) {
        take_compiled();
    }
    if (opened_->writer) {
        hand_over(rows == 1 || (writing_ && rows < least_rows_to_hand_over));
    }
}

void Session::hand_over(bool writing) {
    if (writing == writing_) {
        return;
    }
    runner_->hand_out();
    if (!other_) {
        other_ = std::make_unique<SessionRunner>(writing ? *opened_->writer : *opened_);
        other_->time_ops(timed_);
    }
    other_->go_on_from(*runner_, params_, length());
    std::swap(runner_, other_);
    writing_ = writing;
}

void Session::answer_while_compiling(double patience, MoveSink told) {
    patience_ = patience;
    compiling_told_ = std::move(told);
}

std::shared_ptr<const OpenedModel> Session::intended() const {
    return compiling_ ? compiling_->opened : opened_;
}

void Session::compile_aside(const CancelToken& cancel) {
    const double patience = std::exchange(patience_, -1.0);
    // Who wants to see the device fail, or how long it takes, waits for it.
    const bool wanted = timed_ || opened_->options.diagnostics.fault;
    if (!runner_->on_device() || opened_->writer || compiling_ || !log_.empty() || wanted) {
        return;
    }
    std::future<void> done = std::async(std::launch::async, [runner = runner_.get()] { runner->prepare(); });
    if (done.wait_for(std::chrono::duration<double>(patience)) == std::future_status::ready) {
        done.get(); // or throws what the device has against it
        return;
    }
    std::shared_ptr<OpenedModel> cpu;
    std::unique_ptr<SessionRunner> next;
    try {
        const std::string why =
            "The CPU answers until the kernels of " + opened_->backend->info().name + " are compiled.";
        cpu = std::make_shared<OpenedModel>(*open_elsewhere(*opened_, {"cpu"}, why, {}, cancel));
        cpu->options = opened_->options; // nobody has asked for another backend
        next = std::make_unique<SessionRunner>(*cpu);
    } catch (const Error& error) {
        done.get();
        if (error.kind() == ErrorKind::cancelled) {
            throw;
        }
        return; // where the CPU cannot, waiting is all there is
    }
    next->time_ops(timed_);
    next->go_on_from(*runner_, params_, 0);
    compiling_ = std::make_unique<Compiling>(
        Compiling{std::exchange(opened_, std::move(cpu)), std::move(runner_), std::move(done)});
    runner_ = std::move(next);
    compiling_told_(opened_, opened_->choice.reason);
}

// The device goes on, unless it failed before it began.
void Session::take_compiled() {
    const std::unique_ptr<Compiling> compiled = std::move(compiling_);
    try {
        compiled->done.get();
        runner_->hand_out();
        if (timed_) { // asked for meanwhile
            compiled->runner->time_ops(true);
        }
        compiled->runner->go_on_from(*runner_, params_, length());
    } catch (const Error& error) {
        tell_fallback("The CPU goes on, because " + compiled->opened->backend->info().name +
                      " failed: " + error.message() + ".");
        return;
    }
    runner_ = std::move(compiled->runner);
    opened_ = compiled->opened;
    compiling_told_(opened_, opened_->choice.reason);
}

void Session::tell_fallback(const std::string& why) {
    if (fell_back_) {
        fell_back_(opened_, why);
    } else {
        fallback_reason_ = why;
    }
}

void Session::fall_back(const Error& error, const CancelToken& cancel) {
    if (!can_fall_back(*opened_, error)) {
        throw Error(error);
    }
    const std::string why =
        "The CPU goes on, because " + device_of(*opened_).info().name + " failed: " + error.message() + ".";
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
    const bool readable = error.kind() != ErrorKind::device || (runner_ && !runner_->on_device());
    carry_over(std::move(cpu), readable, {}, cancel);
    tell_fallback(why);
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
    auto next = std::make_unique<SessionRunner>(*other);
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
    other_.reset(); // old ones go before their models
    compiling_.reset();
    writing_ = false;
    runner_ = std::move(next);
    runner_->logits.wanted = false; // of what is read again they are known
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
        parts_.clear();
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
        other->keep(summed_logits());
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
    SessionRunner second(where);
    second.take_params(params_);
    second.set_subscriptions(subscriptions);
    second.logits.wanted = false;
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
    runner_->executor->set_param(param, values); // one that rests is given them when it goes on
    params_[param.index].assign(values.begin(), values.end());
}

MemoryNeed Session::taken() const {
    MemoryNeed sum = runner_->taken();
    if (other_) {
        sum += other_->taken();
    }
    return sum;
}

void Session::time_ops(bool timed) {
    hand_out_frame({});
    timed_ = timed;
    for (SessionRunner* each : {runner_.get(), other_.get()}) {
        if (each) {
            each->time_ops(timed);
        }
    }
}

/// Of a pair the one that reads prompts, or the one that writes.
const SessionRunner* Session::runner_for(bool prompt) const {
    return !opened_->writer || prompt != writing_ ? runner_.get() : other_.get();
}

std::vector<OpTime> Session::op_times(bool prompt) const {
    const SessionRunner* runner = runner_for(prompt);
    return runner ? runner->op_times(prompt) : std::vector<OpTime>{};
}

Counters Session::counters() const {
    Counters sum = runner_->executor->counters();
    if (other_) {
        const Counters more = other_->executor->counters();
        sum.weight_bytes_read += more.weight_bytes_read;
        sum.forward_passes += more.forward_passes;
        sum.host_ops += more.host_ops;
        sum.dispatches += more.dispatches;
        sum.submissions += more.submissions;
        sum.bytes_moved += more.bytes_moved;
    }
    return sum;
}

} // namespace ergo
