// SPDX-License-Identifier: GPL-3.0-or-later
// One token log on one model: prefill in chunks, cached decoding, rewind, taps. Where a model has one backend
// to read and one to write, what is remembered goes from one to the other; where a device fails in the middle
// of it, the CPU goes on with the same tokens. Owned and used by one thread.
#pragma once

#include "engine/generate/session_runner.h"

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

namespace ergo {

class Session {
  public:
    using FrameSink = SessionRunner::FrameSink;
    /// The model as it goes on, and why it does so there: one or two sentences.
    using MoveSink =
        std::function<void(const std::shared_ptr<const OpenedModel>& now, const std::string& why)>;

    explicit Session(std::shared_ptr<const OpenedModel> opened);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    const std::vector<std::int32_t>& tokens() const { return log_; }
    std::int64_t length() const { return static_cast<std::int64_t>(log_.size()); }
    std::int64_t capacity() const;
    std::uint64_t id() const { return id_; }
    /// The model on the backend that runs it now.
    const std::shared_ptr<const OpenedModel>& opened() const { return opened_; }

    /// Where a new session on the same model belongs: not on a CPU that only stands in
    /// (answer_while_compiling).
    std::shared_ptr<const OpenedModel> intended() const;

    /// Called on this thread when a backend other than the CPU was lost, ran out of memory or could not do an
    /// op and the CPU has taken over; at once if it happened before. Nothing of the log is lost by it.
    void on_fallback(MoveSink sink);

    /// Where kernels of a device take longer than `patience` seconds to compile, the CPU reads and writes
    /// until they are there: `told` when it begins and when the device goes on. For a session that begins;
    /// what the two compute differs by rounding, so a seed may give another text.
    void answer_while_compiling(double patience, MoveSink told);

    /// Goes on there from the next step: `other` is the same model with the same context (open_elsewhere).
    /// What is remembered is carried over, or run again where the old backend cannot give it any more. When
    /// that is cancelled, the log is empty.
    void move_to(std::shared_ptr<const OpenedModel> other, const Progress& progress,
                 const CancelToken& cancel);

    /// What later steps capture, and where frames go (called on this thread, right after each step unless
    /// they may lag).
    void subscribe(std::vector<Subscription> subscriptions, FrameSink sink);

    /// Whether frames of single tokens may come one step late, when the next step is at work, so that a
    /// device computes while its readers are served. Ending it hands out the last one.
    void let_frames_lag(bool may);

    /// Makes the log equal to `ids`: keeps the common prefix, rewinds, runs the rest in chunks. At least the
    /// last token is run, so that logits() belong to it. Throws Error(resources) when `ids` exceed the
    /// capacity, and Error(cancelled) between chunks (the log then holds what was run, and logits() are
    /// void). `recomputed` marks the frames: the tokens were written by an earlier run.
    void set_tokens(std::span<const std::int32_t> ids, const Progress& progress, const CancelToken& cancel,
                    bool recomputed = false);

    /// Appends one token.
    void decode(std::int32_t id, const CancelToken& cancel);

    /// Forgets everything from `length` on. Logits are then void until the next step.
    void rewind(std::int64_t length);

    /// Another session on the same model that begins as this one does: its first `length` tokens with their
    /// state and this one's parameters, nothing recomputed. Later steps of the two never meet. logits() are
    /// this session's where all of it is taken, else void. Throws Error(usage) beyond the log.
    std::unique_ptr<Session> branch(std::int64_t length) const;

    /// Runs the log again from its start in a second executor, only to capture; the session itself is
    /// untouched.
    void recapture(const std::vector<Subscription>& subscriptions, const FrameSink& sink,
                   const Progress& progress, const CancelToken& cancel);

    /// Of the last step's last row, [vocabulary].
    std::span<const float> logits() const { return logits_; }
    /// The same for a sampler. Added up where sample_at() asked for it.
    SummedLogits summed_logits() const { return {logits_, parts_, parts_temperature_}; }
    /// From the next step on a backend adds up its logits at `temperature` (Sampler::temperature()).
    void sample_at(float temperature) { wanted_.temperature = temperature; }

    /// Interventions on values; take effect on the next step.
    void set_param(ParamId param, std::span<const float> values);

    /// Of the backend in use (both, where one reads and one writes), since the session is on it.
    Counters counters() const;
    /// From the next plan that is prepared on, or not any more: how long ops take (OpTime). Plans in use are
    /// prepared again.
    void time_ops(bool timed);
    /// Of single tokens, or of prompts.
    std::vector<OpTime> op_times(bool prompt) const;
    /// Memory it holds now (cache and scratch), without the weights.
    MemoryNeed taken() const;

  private:
    /// A device whose kernels are compiled on another thread.
    struct Compiling;
    SummedLogits step(std::int64_t position, std::span<const std::int32_t> ids, bool recomputed,
                      const CancelToken& cancel);
    void keep(const SummedLogits& logits);
    void choose_runner(std::int64_t rows, const CancelToken& cancel);
    void hand_over(bool writing);
    void compile_aside(const CancelToken& cancel);
    void take_compiled();
    const SessionRunner* runner_for(bool prompt) const;
    void hand_out_frame(const CancelToken& cancel);
    void tell_fallback(const std::string& why);
    void fall_back(const Error& error, const CancelToken& cancel);
    void carry_over(std::shared_ptr<const OpenedModel> other, bool readable, const Progress& progress,
                    const CancelToken& cancel);
    void recapture_on(const OpenedModel& where, const std::vector<Subscription>& subscriptions,
                      const FrameSink& sink, const Progress& progress, const CancelToken& cancel);

    std::shared_ptr<const OpenedModel> opened_;
    std::unique_ptr<SessionRunner> runner_; // at work
    std::unique_ptr<SessionRunner> other_;  // of a pair the one that rests; null until it is needed
    std::unique_ptr<Compiling> compiling_;  // null: nothing is
    bool writing_ = false;                  // of a pair it is the writer that is at work
    double patience_ = -1;                  // as asked for, until the first step; below 0: was not
    MoveSink compiling_told_;
    std::vector<std::int32_t> log_;
    std::vector<float> logits_;
    std::vector<LogitPart> parts_; // of the logits; empty: nobody asked for them
    float parts_temperature_ = 0;
    SessionRunner::Logits wanted_;                      // of the next step
    std::map<std::int32_t, std::vector<float>> params_; // set by set_param
    MoveSink fell_back_;
    bool timed_ = false, frames_lag_ = false;
    std::string fallback_reason_; // empty: none happened, or it has been told
    std::uint64_t id_ = 0;
};

} // namespace ergo
