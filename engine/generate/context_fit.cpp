// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/context_fit.h"

#include <algorithm>

namespace ergo {

namespace {

/// Where each exchange begins that may go: users' messages but the last.
std::vector<std::size_t> exchanges(const std::vector<ChatMessage>& messages) {
    std::vector<std::size_t> begins;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        if (messages[i].role == Role::user) {
            begins.push_back(i);
        }
    }
    return begins;
}

/// Messages of the first `count` exchanges; what stands before the first (but the system prompt) goes too.
std::vector<std::size_t> first_exchanges(const std::vector<ChatMessage>& messages,
                                         const std::vector<std::size_t>& begins, std::size_t count) {
    std::vector<std::size_t> out;
    for (std::size_t i = 0; count > 0 && i < begins[count]; ++i) {
        if (messages[i].role != Role::system) {
            out.push_back(i);
        }
    }
    return out;
}

std::int64_t length_without(const ChatFormat& format, const std::vector<ChatMessage>& messages,
                            const std::vector<std::size_t>& left_out) {
    std::vector<ChatMessage> rest;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        if (!std::binary_search(left_out.begin(), left_out.end(), i)) {
            rest.push_back(messages[i]);
        }
    }
    return static_cast<std::int64_t>(format.render(rest, true).ids.size());
}

} // namespace

DropProposal propose_drop(const ChatFormat& format, const std::vector<ChatMessage>& messages,
                          std::int64_t context, std::int64_t room) {
    DropProposal out;
    out.before = out.after = length_without(format, messages, {});
    out.fits = out.before + room <= context;
    const auto begins = exchanges(messages);
    if (out.fits || begins.size() < 2) {
        return out;
    }
    // The length falls with every exchange left out, so the fewest are found by halving.
    std::size_t too_few = 0, enough = begins.size() - 1;
    while (enough - too_few > 1) {
        const std::size_t middle = too_few + (enough - too_few) / 2;
        const auto left_out = first_exchanges(messages, begins, middle);
        (length_without(format, messages, left_out) + room <= context ? enough : too_few) = middle;
    }
    out.messages = first_exchanges(messages, begins, enough);
    out.after = length_without(format, messages, out.messages);
    out.fits = out.after + room <= context;
    return out;
}

} // namespace ergo
