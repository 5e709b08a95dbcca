// SPDX-License-Identifier: GPL-3.0-or-later
// One token log on one model: prefill in chunks, cached decoding, rewind, taps. Owned and used by one thread.
#pragma once

#include "engine/generate/frame.h"
#include "engine/generate/opened_model.h"

#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace ergo {

/// Rows of a prompt step. Larger steps use the weights better, smaller ones cancel sooner and capture less at
/// once.
inline constexpr std::int64_t prompt_rows = 64;

class Session {
  public:
    using FrameSink = std::function<void(Frame&&)>;

    explicit Session(std::shared_ptr<const OpenedModel> opened);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    const std::vector<std::int32_t>& tokens() const { return log_; }
    std::int64_t length() const { return static_cast<std::int64_t>(log_.size()); }
    std::int64_t capacity() const;
    std::uint64_t id() const { return id_; }

    /// What later steps capture, and where frames go (called on this thread, right after each step).
    void subscribe(std::vector<Subscription> subscriptions, FrameSink sink);

    /// Makes the log equal to `ids`: keeps the common prefix, rewinds, runs the rest in chunks. At least the
    /// last token is run, so that logits() belong to it. Throws Error(resources) when `ids` exceed the
    /// capacity, and Error(cancelled) between chunks (the log then holds what was run). `recomputed` marks
    /// the frames: the tokens were written by an earlier run.
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

    /// Interventions on values; take effect on the next step.
    void set_param(ParamId param, std::span<const float> values);

    Counters counters() const;
    /// Memory it holds now (cache and scratch), without the weights.
    MemoryNeed taken() const;

  private:
    struct Prepared;
    struct Runner;
    std::shared_ptr<const OpenedModel> opened_;
    std::unique_ptr<Runner> runner_;
    std::vector<std::int32_t> log_;
    std::vector<float> logits_;
    std::uint64_t id_ = 0;
};

} // namespace ergo
