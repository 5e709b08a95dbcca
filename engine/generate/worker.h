// SPDX-License-Identifier: GPL-3.0-or-later
// The engine's thread for one conversation. A front end gives commands from its own thread and takes events
// and frames when it likes; no engine call ever runs on the caller's thread. Every command is cancellable
// within 50 ms.
#pragma once

#include "engine/base/error.h"
#include "engine/generate/frame.h"
#include "engine/generate/opened_model.h"
#include "engine/generate/sampler.h"

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace ergo {

/// What to write: the whole conversation's ids (what is remembered already is not run again) and how.
struct GenerateRequest {
    std::uint64_t tag = 0; ///< returned in every event of this job
    std::vector<std::int32_t> prompt;
    SamplingParams sampling;
    std::int64_t max_tokens = 512;
    std::vector<std::string> stop; ///< strings that end the reply (not part of it)
    std::vector<std::int32_t> stop_ids;
    /// "Take this token instead": place in the reply (0 is its first token) to the token written there,
    /// whatever would have been chosen. Writing goes on behind it.
    std::map<std::int64_t, std::int32_t> take;
    /// The reply goes on: so many of the prompt's last tokens are its own first ones. Places in `take`,
    /// max_tokens and the sampler's chances count from the first of them, as if all came in one go.
    std::int64_t written = 0;
};

/// A subscription by name, as views ask for it.
struct Observe {
    std::string observable;
    std::vector<std::int32_t> heads; ///< empty: all
    bool operator==(const Observe&) const = default;
};

struct EventProgress {
    std::string what;
    double done = 0, total = 0;
};
struct EventOpened {
    std::shared_ptr<const OpenedModel> model;
};
struct EventPrompt { ///< the prompt has been read
    std::uint64_t tag = 0;
    std::int64_t tokens = 0, reused = 0; ///< in the prompt; of them remembered from before
    double seconds = 0;
};
struct EventToken {
    std::uint64_t tag = 0;
    std::int64_t position = 0; ///< absolute, in the session's log
    Choice choice;
    std::string text;   ///< what became readable with this token (may be empty)
    bool taken = false; ///< asked for by GenerateRequest::take, not chosen
};
struct EventFinished {
    enum class Reason { stop_token, stop_string, length, context_full, cancelled, failed };
    std::uint64_t tag = 0;
    Reason reason = Reason::length;
    std::int64_t tokens = 0;                    ///< written
    double seconds = 0;                         ///< writing, without the prompt
    double first_token_seconds = 0;             ///< from the command to the first token
    std::string trailing_text;                  ///< what the stream decoder still held back
    std::int64_t context_used = 0, context = 0; ///< positions used at the end, positions there are
};
struct EventFailed { ///< of open or generate; the worker lives on
    ErrorKind kind = ErrorKind::io;
    std::string text; ///< complete, for people
    std::string what; ///< "open demo:moa", "generate"
};
struct EventMoved { ///< the open model goes on on another backend, with all that it remembers
    std::shared_ptr<const OpenedModel> model;
    std::string why;       ///< for people
    bool fallback = false; ///< nobody asked for it: a device failed
};
using Event =
    std::variant<EventProgress, EventOpened, EventPrompt, EventToken, EventFinished, EventFailed, EventMoved>;

class Worker {
  public:
    /// `wake` is called on the worker's thread when events or frames are ready; it must not block.
    explicit Worker(std::function<void()> wake);
    ~Worker(); ///< cancels what runs and joins

    // Commands, from one front-end thread. They queue up; stop() cancels what runs and drops what waits.
    void open(std::string source, OpenModelOptions options);
    void generate(GenerateRequest request);
    /// From the next step on these are captured; rows already in the log are captured again by a second pass
    /// as soon as the worker is idle (frames marked recomputed). Names the model does not have are ignored.
    void observe(std::vector<Observe> wanted);
    /// Reads a conversation that an earlier run wrote, so that views can see it (frames marked recomputed)
    /// and a reply goes on from there. Looking back never keeps a person waiting: any later command
    /// interrupts it, and what was read by then stays. Ends with EventPrompt.
    void read(std::uint64_t tag, std::vector<std::int32_t> ids);
    /// From the next token on the open model runs there, with the tokens and parameters it has; ends with
    /// EventMoved, or with EventFailed and everything as it was.
    void use_backend(BackendWish wish);
    /// Measures what ops take from the next step on; op_times() has them after each reply and meanwhile.
    void time_ops(bool timed);
    std::vector<OpTime> op_times() const;
    void forget(); ///< drops the token log
    /// From the next step on the model runs with these parameters, in the order of Tables::params (see
    /// changed_params). What is remembered was computed with others: the next prompt is read from its start.
    void set_params(std::vector<std::vector<float>> values);
    void stop();

    std::vector<Event> take_events();
    std::optional<Frame> take_frame();
    std::size_t dropped_frames() const;
    bool busy() const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace ergo
