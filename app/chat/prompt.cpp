// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/chat/prompt.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"
#include "engine/generate/context_fit.h"

#include <QCoreApplication>

namespace ergosphere {

namespace {

struct Words {
    Q_DECLARE_TR_FUNCTIONS(Prompt)
};

/// What the model is given, and which message of the conversation each is (-1: the system prompt).
struct Given {
    std::vector<ergo::ChatMessage> messages;
    std::vector<int> of;
};

Given given(const Conversation& conversation, bool with_system) {
    Given out;
    if (with_system && !conversation.system.isEmpty()) {
        out.messages.push_back({ergo::Role::system, conversation.system.toStdString(), {}});
        out.of.push_back(-1);
    }
    for (int i = 0; i < conversation.messages.size(); ++i) {
        const Message& m = conversation.messages[i];
        if (!m.left_out) {
            out.messages.push_back({m.role, m.text.toStdString(), m.ids});
            out.of.push_back(i);
        }
    }
    return out;
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

    /// A message that the model is not given.
    void leftOut(TranscriptTurn& turn, const Message& message) const {
        turn.left_out = true;
        ergo::StreamDecoder decoder(tokenizer_, false);
        for (const std::int32_t id :
             message.ids.empty() ? tokenizer_->encode(message.text.toStdString(), {}) : message.ids) {
            TranscriptToken token;
            token.id = id;
            token.text = QString::fromStdString(decoder.push(id));
            token.piece = tokenPiece(*tokenizer_, id);
            turn.tokens.append(std::move(token));
        }
        if (!turn.tokens.isEmpty()) {
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
    const Given said = given(conversation, can_chat);
    ergo::RenderedChat rendered = opened.chat->render(said.messages, reply);
    Prompt prompt;
    prompt.ids = std::move(rendered.ids);
    const TurnBuilder builder(opened.tokenizer, prompt);
    std::int64_t at = 0;
    int next = 0; // message of the conversation
    const auto left_out_before = [&](int end) {
        for (; next < end; ++next) {
            TranscriptTurn turn;
            turn.role = conversation.messages[next].role;
            builder.leftOut(turn, conversation.messages[next]);
            prompt.turns.append(std::move(turn));
        }
    };
    for (std::size_t i = 0; i < said.messages.size(); ++i) {
        left_out_before(said.of[i]);
        TranscriptTurn turn;
        turn.role = said.messages[i].role;
        const auto [begin, end] = rendered.ranges[i];
        builder.markers(turn, at, begin);
        builder.content(turn, begin, end);
        prompt.turns.append(std::move(turn));
        at = end;
        next = said.of[i] + 1;
    }
    left_out_before(int(conversation.messages.size()));
    const auto size = static_cast<std::int64_t>(prompt.ids.size());
    if (reply) {
        TranscriptTurn turn;
        turn.role = ergo::Role::assistant;
        turn.writing = true;
        builder.markers(turn, at, size);
        prompt.turns.append(std::move(turn));
    } else if (at < size && !prompt.turns.isEmpty()) {
        builder.markers(prompt.turns.last(), at, size); // the last message is always given
    }
    const qsizetype system = !said.of.empty() && said.of.front() < 0 ? 1 : 0;
    for (qsizetype i = 0; i < conversation.messages.size(); ++i) {
        TranscriptTurn& turn = prompt.turns[system + i];
        if (conversation.messages[i].role == ergo::Role::assistant) {
            turn.stats = statsLine(conversation.messages[i].stats);
        }
        if (turn.left_out &&
            (i + 1 == conversation.messages.size() || !prompt.turns[system + i + 1].left_out)) {
            turn.note = Words::tr(
                "Up to here the conversation is kept but no longer given to the model, to make room.");
        }
    }
    for (const std::int32_t id : prompt.ids) {
        prompt.texts.append(tokenText(*opened.tokenizer, id));
    }
    return prompt;
}

std::optional<DropOffer> proposeDrop(const ergo::OpenedModel& opened, const Conversation& conversation,
                                     qint64 room) {
    if (!opened.chat) {
        return std::nullopt;
    }
    const Given said = given(conversation, opened.chat->can_chat());
    ergo::DropProposal proposal = ergo::propose_drop(*opened.chat, said.messages, opened.context, room);
    if (!proposal.fits) { // then a short reply
        proposal = ergo::propose_drop(*opened.chat, said.messages, opened.context, 1);
    }
    if (!proposal.fits || proposal.messages.empty()) {
        return std::nullopt;
    }
    DropOffer offer;
    offer.before = proposal.before;
    offer.after = proposal.after;
    offer.context = opened.context;
    for (const std::size_t index : proposal.messages) {
        const int of = said.of[index];
        const Message& message = conversation.messages[of];
        offer.messages.append(of);
        const QString who = message.role == ergo::Role::user
                                ? Words::tr("You")
                                : QString::fromStdString(opened.model->info().name);
        offer.texts << QStringLiteral("%1: %2").arg(who, titleFrom(message.text));
    }
    return offer;
}

} // namespace ergosphere
