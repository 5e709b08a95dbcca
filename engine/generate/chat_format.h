// SPDX-License-Identifier: GPL-3.0-or-later
// How a conversation becomes token ids: by the template that came with the tokenizer, or by the format its
// special tokens speak of. Immutable; any thread.
#pragma once

#include "engine/tokenizer/tokenizer.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ergo {

namespace jinja {
class SourcedText;
class Template;
class TemplateMap;
} // namespace jinja

enum class Role : std::uint8_t { system, user, assistant };

struct ChatMessage {
    Role role = Role::user;
    std::string text;
    std::vector<std::int32_t>
        ids; ///< assistant only: the reply's own tokens, used instead of encoding the text again
};

/// Ids of a whole conversation and where each message's own text stands in them (markers excluded). The
/// ranges are in order and apart; one whose text the template left out is empty.
struct RenderedChat {
    std::vector<std::int32_t> ids;
    std::vector<std::pair<std::int64_t, std::int64_t>> ranges; ///< [begin, end) per message
    std::string text;                                          ///< what the ids were made from
};

class ChatFormat {
  public:
    enum class Kind : std::uint8_t { jinja, discover_lm, chat_ml, raw };

    /// The tokenizer's template; without one by the special tokens the vocabulary has: DiscoverLM's,
    /// ChatML's, or none (raw completion). A template that cannot be used gives ChatML (or what the tokens
    /// speak of) and a problem(). A base model shares its vocabulary with chat models: without a template
    /// ChatML's markers mean nothing to it.
    static ChatFormat detect(std::shared_ptr<const Tokenizer> tokenizer, bool base_model = false);

    Kind kind() const { return kind_; }
    std::string name() const; ///< "ChatML (template in chat_template.jinja)", "DiscoverLM", "raw completion"
    bool can_chat() const { return kind_ != Kind::raw; }
    /// One sentence: why the template that is there is not used; "" when nothing is wrong.
    const std::string& problem() const { return problem_; }

    /// With `generate` the opening of an assistant's reply is appended. Special tokens inside a message's
    /// text are plain text: what a person types can never pose as a marker, unless `trust_text`.
    /// Throws Error: what the template says of a conversation it does not accept (CT-RUNTIME).
    RenderedChat render(const std::vector<ChatMessage>& messages, bool generate,
                        bool trust_text = false) const;

    /// The same for JSON: a list of messages [{"role", "content", …}], or an object with `messages` and
    /// whatever else the template may use (`tools`, `documents` …). Throws Error naming the message that is
    /// wrong.
    RenderedChat render_json(std::string_view json, const std::string& file_name, bool generate,
                             bool trust_text = false) const;

    /// Ids after which a reply is over (end markers, and a new turn's opening).
    const std::vector<std::int32_t>& stop_ids() const { return stop_ids_; }

  private:
    void use_template();
    void learn_end_of_turn();
    jinja::SourcedText write(const std::vector<ChatMessage>& messages, bool generate) const;
    jinja::SourcedText run_template(jinja::TemplateMap context, bool generate) const;
    RenderedChat encode(const jinja::SourcedText& text, const std::vector<ChatMessage>& messages,
                        bool trust_text) const;

    Kind kind_ = Kind::raw;
    std::string problem_, template_file_;
    std::shared_ptr<const Tokenizer> tokenizer_;
    std::shared_ptr<const jinja::Template> template_,
        tool_template_; ///< tool_template_: with tools, if there is one
    std::vector<std::int32_t> stop_ids_;
};

} // namespace ergo
