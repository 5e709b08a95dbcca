// SPDX-License-Identifier: GPL-3.0-or-later
// Writing one reply on a session: prompt, then token after token until something ends it. Runs on the
// caller's thread; the worker and the command line share it.
#pragma once

#include "engine/generate/session.h"
#include "engine/generate/worker.h"

#include <functional>

namespace ergo {

/// Called on the generating thread. `between` runs before each step (to change subscriptions).
struct GenerationHooks {
    std::function<void(const EventPrompt&)> prompt;
    std::function<void(EventToken&&)> token;
    std::function<void()> between;
    Progress progress;
};

/// Errors of the prompt are thrown; a cancelled reply is a normal end. Tokens already written stay in the
/// session.
EventFinished generate_reply(Session& session, const OpenedModel& opened, const GenerateRequest& request,
                             const GenerationHooks& hooks, const CancelToken& cancel);

} // namespace ergo
