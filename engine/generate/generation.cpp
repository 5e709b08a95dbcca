// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/generation.h"

#include "engine/base/error.h"
#include "engine/generate/stop_strings.h"

#include <algorithm>
#include <chrono>

namespace ergo {

namespace {

using Clock = std::chrono::steady_clock;
using Reason = EventFinished::Reason;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// Ids to readable text; without a tokenizer there is no text, only ids.
class TextStream {
  public:
    TextStream(const std::shared_ptr<const Tokenizer>& tokenizer, const std::vector<std::string>& stops)
        : stops_(stops) {
        if (tokenizer) {
            decoder_.emplace(tokenizer, true);
        }
    }
    std::string push(std::int32_t id) { return decoder_ ? stops_.push(decoder_->push(id)) : std::string(); }
    bool stopped() const { return stops_.stopped(); }
    std::string finish() {
        if (!decoder_ || stops_.stopped()) {
            return {};
        }
        const std::string shown = stops_.push(decoder_->finish());
        return shown + stops_.finish();
    }

  private:
    std::optional<StreamDecoder> decoder_;
    StopStrings stops_;
};

/// While a reply is written, what its readers see may come a token late; whatever ends it, the last comes
/// too.
class LateFrames {
  public:
    explicit LateFrames(Session& session) : session_(session) { session.let_frames_lag(true); }
    ~LateFrames() {
        try {
            end();
        } catch (const std::exception&) {
            return; // an error is on its way that says more
        }
    }
    void end() { session_.let_frames_lag(false); }

  private:
    Session& session_;
};

EventToken next_token(const Session& session, Sampler& sampler, const GenerateRequest& request,
                      std::int64_t written) {
    EventToken token;
    token.tag = request.tag;
    token.position = session.length();
    const auto taken = request.take.find(written);
    token.taken = taken != request.take.end();
    token.choice = token.taken ? sampler.take(taken->second, session.summed_logits())
                               : sampler.choose(session.summed_logits(), session.tokens());
    return token;
}

} // namespace

EventFinished generate_reply(Session& session, const OpenedModel& opened, const GenerateRequest& request,
                             const GenerationHooks& hooks, const CancelToken& cancel) {
    const auto start = Clock::now();
    if (request.prompt.empty()) {
        throw Error(ErrorKind::usage, "The prompt is empty; there is nothing to continue.");
    }
    const auto size = static_cast<std::int64_t>(request.prompt.size());
    if (request.written < 0 || request.written >= size) {
        throw Error(ErrorKind::usage, "A prompt of " + std::to_string(size) + " tokens cannot end with " +
                                          std::to_string(request.written) + " of the reply.");
    }
    Sampler sampler(request.sampling);
    sampler.skip(request.written);
    session.sample_at(sampler.temperature());
    TextStream text(opened.tokenizer, request.stop);
    for (std::int64_t p = size - request.written; p < size; ++p) {
        text.push(request.prompt[static_cast<std::size_t>(p)]); // said before
    }
    EventFinished end;
    end.tag = request.tag;
    end.context = session.capacity();

    const std::int64_t before = session.length();
    const auto reused = std::mismatch(session.tokens().begin(), session.tokens().end(),
                                      request.prompt.begin(), request.prompt.end())
                            .first -
                        session.tokens().begin();
    session.set_tokens(request.prompt, hooks.progress, cancel);
    if (hooks.prompt) {
        hooks.prompt(
            {request.tag, session.length(), std::min<std::int64_t>(reused, before), seconds_since(start)});
    }

    const auto writing = Clock::now();
    LateFrames frames(session);
    try {
        while (request.written + end.tokens < request.max_tokens) {
            cancel.check();
            if (hooks.between) {
                hooks.between();
            }
            EventToken token = next_token(session, sampler, request, request.written + end.tokens);
            const auto& stops = request.stop_ids;
            if (std::find(stops.begin(), stops.end(), token.choice.id) != stops.end()) {
                end.reason = Reason::stop_token;
                break;
            }
            if (session.length() >= session.capacity()) {
                end.reason = Reason::context_full;
                break;
            }
            const std::int32_t id = token.choice.id;
            token.text = text.push(id);
            if (++end.tokens == 1) {
                end.first_token_seconds = seconds_since(start);
            }
            if (hooks.token) {
                hooks.token(std::move(token));
            }
            session.decode(id, cancel);
            if (text.stopped()) {
                end.reason = Reason::stop_string;
                break;
            }
        }
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::cancelled) {
            throw;
        }
        end.reason = Reason::cancelled;
    }
    frames.end();
    end.seconds = seconds_since(writing);
    end.context_used = session.length();
    end.trailing_text = text.finish();
    return end;
}

} // namespace ergo
