// SPDX-License-Identifier: GPL-3.0-or-later
// How a conversation becomes token ids. Immutable; any thread.
#pragma once

#include "engine/tokenizer/tokenizer.h"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ergo {

enum class Role : std::uint8_t { system, user, assistant };

struct ChatMessage {
    Role role = Role::user;
    std::string text;
    std::vector<std::int32_t>
        ids; ///< assistant only: the reply's own tokens, used instead of encoding the text again
};

/// Ids of a whole conversation and where each message's own text stands in them (markers excluded).
struct RenderedChat {
    std::vector<std::int32_t> ids;
    std::vector<std::pair<std::int64_t, std::int64_t>> ranges; ///< [begin, end) per message
};

class ChatFormat {
  public:
    enum class Kind : std::uint8_t { discover_lm, chat_ml, raw };

    /// By the special tokens the vocabulary has: DiscoverLM's, ChatML's, or none (raw completion). A base
    /// model shares its vocabulary with chat models: ChatML's markers mean nothing to it.
    static ChatFormat detect(std::shared_ptr<const Tokenizer> tokenizer, bool base_model = false);

    Kind kind() const { return kind_; }
    std::string name() const; ///< "DiscoverLM", "ChatML", "raw completion"
    bool can_chat() const { return kind_ != Kind::raw; }

    /// With `generate` the opening of an assistant's reply is appended. Special tokens inside a message's
    /// text are plain text: what a person types can never pose as a marker.
    RenderedChat render(const std::vector<ChatMessage>& messages, bool generate) const;

    /// Ids after which a reply is over (end markers, and a new turn's opening).
    const std::vector<std::int32_t>& stop_ids() const { return stop_ids_; }

  private:
    Kind kind_ = Kind::raw;
    std::shared_ptr<const Tokenizer> tokenizer_;
    std::vector<std::int32_t> stop_ids_;
};

} // namespace ergo
