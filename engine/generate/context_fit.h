// SPDX-License-Identifier: GPL-3.0-or-later
// What a conversation could do without when it no longer fits the context. Pure functions, any thread.
#pragma once

#include "engine/generate/chat_format.h"

#include <cstdint>
#include <vector>

namespace ergo {

struct DropProposal {
    std::vector<std::size_t> messages; ///< to leave out, ascending: the oldest exchanges
    std::int64_t before = 0;           ///< tokens of the whole conversation, the reply's opening included
    std::int64_t after = 0;            ///< without those messages
    bool fits = false; ///< `after` leaves the room asked for; false: not even the last message alone does
};

/// The fewest oldest exchanges (a user's message with the replies to it) without which the conversation and
/// `room` more tokens fit into `context`. The system prompt and the last user's message always stay.
DropProposal propose_drop(const ChatFormat& format, const std::vector<ChatMessage>& messages,
                          std::int64_t context, std::int64_t room);

} // namespace ergo
