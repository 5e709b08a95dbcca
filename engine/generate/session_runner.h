// SPDX-License-Identifier: GPL-3.0-or-later
// One session's executor on one backend, with its plans for single tokens and for prompts under one set of
// subscriptions, and the frames they give. Owned by a session, used by one thread at a time.
#pragma once

#include "engine/backend/logit_parts.h"
#include "engine/generate/frame.h"
#include "engine/generate/opened_model.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

namespace ergo {

/// Rows of a prompt step. Larger steps use the weights better, smaller ones capture less at once: what is
/// captured of an attention grows with rows times keys.
inline constexpr std::int64_t prompt_rows = 256;

class SessionRunner {
  public:
    using FrameSink = std::function<void(Frame&&)>;
    using Params = std::map<std::int32_t, std::vector<float>>; // by ParamId

    explicit SessionRunner(const OpenedModel& opened);

    void set_subscriptions(std::vector<Subscription> wanted);
    void take_params(const Params& values);
    /// Plans are prepared again.
    void time_ops(bool timed);
    /// Subscriptions, where frames go and parameters as `other` has them, and what both remember of `length`
    /// positions: from there on this one goes on.
    void go_on_from(SessionRunner& other, const Params& params, std::int64_t length);
    /// Makes both plans ready.
    void prepare();

    /// Runs `ids` at `position` and hands the captures out: of a single token, where `late`, at the next step
    /// or with hand_out(). Returns a view of the last row's logits, as `logits` wants them.
    SummedLogits step(std::int64_t position, std::span<const std::int32_t> ids, std::uint64_t session,
                      bool recomputed, const FrameSink& to, const CancelToken& cancel, bool late = false);
    /// The frame of the last single token, if nobody has it yet.
    void hand_out();

    MemoryNeed taken() const;
    std::vector<OpTime> op_times(bool prompt) const;
    /// Whether a device that may fail runs it.
    bool on_device() const { return on_device_; }

    std::unique_ptr<Executor> executor;
    std::vector<Subscription> subscriptions;
    FrameSink sink;
    /// What the next step gives, as StepState has it.
    struct Logits {
        bool wanted = true;
        float temperature = -1;
    } logits;
    std::optional<Frame> owed; ///< of the last step, its numbers still to be read

  private:
    /// A plan for one phase with its program.
    struct Prepared {
        ModelPlan plan;
        std::unique_ptr<Program> program;
    };
    Prepared& prepared(std::int64_t rows);
    SummedLogits logits_of(const Prepared& phase);
    void hand_out(const Prepared& phase, const FrameSink& to);

    const Model& model_;
    const Checkpoint* checkpoint_; // null for a model made without files
    bool on_device_;
    Prepared decode_, prompt_; // after the executor: programs must go first
    StepState state_;
};

} // namespace ergo
