// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/chat/prompt.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"

namespace ergosphere {

namespace {

std::vector<ergo::ChatMessage> chatMessages(const Conversation& conversation, bool with_system) {
    std::vector<ergo::ChatMessage> messages;
    if (with_system && !conversation.system.isEmpty()) {
        messages.push_back({ergo::Role::system, conversation.system.toStdString(), {}});
    }
    for (const Message& m : conversation.messages) {
        messages.push_back({m.role, m.text.toStdString(), m.ids});
    }
    return messages;
}

class TurnBuilder {
  public:
    TurnBuilder(const std::shared_ptr<const ergo::Tokenizer>& tokenizer, Prompt& prompt)
        : tokenizer_(tokenizer), prompt_(prompt) {}

    void markers(TranscriptTurn& turn, std::int64_t begin, std::int64_t end) const {
        for (std::int64_t p = begin; p < end; ++p) {
            add(turn, p, {}, true);
        }
    }

    void content(TranscriptTurn& turn, std::int64_t begin, std::int64_t end) const {
        ergo::StreamDecoder decoder(tokenizer_, false);
        for (std::int64_t p = begin; p < end; ++p) {
            add(turn, p, QString::fromStdString(decoder.push(prompt_.ids[std::size_t(p)])), false);
        }
        if (begin < end) {
            turn.tokens.last().text += QString::fromStdString(decoder.finish());
        }
    }

  private:
    void add(TranscriptTurn& turn, std::int64_t position, QString text, bool marker) const {
        TranscriptToken token;
        token.id = prompt_.ids[std::size_t(position)];
        token.position = position;
        token.text = std::move(text);
        token.piece = tokenPiece(*tokenizer_, token.id);
        token.marker = marker;
        turn.tokens.append(std::move(token));
    }

    const std::shared_ptr<const ergo::Tokenizer>& tokenizer_;
    Prompt& prompt_;
};

} // namespace

QString tokenPiece(const ergo::Tokenizer& tokenizer, std::int32_t id) {
    return visiblePiece(tokenizer.token_bytes(id));
}

QString tokenText(const ergo::Tokenizer& tokenizer, std::int32_t id) {
    const std::string bytes = tokenizer.token_bytes(id);
    return ergo::is_valid_utf8(bytes) ? QString::fromStdString(bytes) : visiblePiece(bytes);
}

Prompt makePrompt(const ergo::OpenedModel& opened, const Conversation& conversation, bool reply) {
    if (!opened.tokenizer || !opened.chat) {
        throw ergo::Error(ergo::ErrorKind::unsupported,
                          "This checkpoint has no tokenizer, so it cannot read text.",
                          {.advice = "Put its tokenizer.json beside the weights and open it again."});
    }
    const bool can_chat = opened.chat->can_chat();
    const std::vector<ergo::ChatMessage> messages = chatMessages(conversation, can_chat);
    ergo::RenderedChat rendered = opened.chat->render(messages, reply);
    Prompt prompt;
    prompt.ids = std::move(rendered.ids);
    const TurnBuilder builder(opened.tokenizer, prompt);
    std::int64_t at = 0;
    for (std::size_t i = 0; i < messages.size(); ++i) {
        TranscriptTurn turn;
        turn.role = messages[i].role;
        const auto [begin, end] = rendered.ranges[i];
        builder.markers(turn, at, begin);
        builder.content(turn, begin, end);
        prompt.turns.append(std::move(turn));
        at = end;
    }
    const auto size = static_cast<std::int64_t>(prompt.ids.size());
    if (reply) {
        TranscriptTurn turn;
        turn.role = ergo::Role::assistant;
        turn.writing = true;
        builder.markers(turn, at, size);
        prompt.turns.append(std::move(turn));
    } else if (at < size && !prompt.turns.isEmpty()) {
        builder.markers(prompt.turns.last(), at, size);
    }
    const qsizetype system = qsizetype(messages.size()) - conversation.messages.size();
    for (qsizetype i = 0; i < conversation.messages.size(); ++i) {
        if (conversation.messages[i].role == ergo::Role::assistant) {
            prompt.turns[system + i].stats = statsLine(conversation.messages[i].stats);
        }
    }
    for (const std::int32_t id : prompt.ids) {
        prompt.texts.append(tokenText(*opened.tokenizer, id));
    }
    return prompt;
}

} // namespace ergosphere
