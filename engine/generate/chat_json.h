// SPDX-License-Identifier: GPL-3.0-or-later
// Conversations as values of a template, each message's text marked with where it came from. Pure functions;
// for this folder alone.
#pragma once

#include "engine/generate/chat_format.h"
#include "engine/template/value.h"

#include <optional>

namespace ergo {

/// Source of message `index`'s text; other data (names, tools) has other_data.
inline constexpr jinja::TextSource other_data = 1;
jinja::TextSource content_source(std::size_t index);
std::optional<std::size_t> content_index(jinja::TextSource source);

const char* role_name(Role role); ///< "system", "user", "assistant"

/// {"messages": […]}
jinja::TemplateMap context_of(const std::vector<ChatMessage>& messages);

/// A JSON list of messages, or an object with `messages` and more. Throws Error(format): F-JSON, or one
/// sentence naming the message that is wrong.
jinja::TemplateMap read_conversation(std::string_view json, const std::string& file_name);

/// What a format without a template can do with it: roles system, user and assistant, text as content.
std::vector<ChatMessage> plain_messages(const jinja::TemplateMap& context, const std::string& format,
                                        const std::string& file_name);

} // namespace ergo
