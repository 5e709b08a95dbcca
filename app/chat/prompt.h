// SPDX-License-Identifier: GPL-3.0-or-later
// A conversation made ready for the model: its token ids and the turns the transcript shows of them. Pure
// functions, any thread: long texts are encoded away from the GUI thread.
#pragma once

#include "app/chat/conversation.h"
#include "app/chat/transcript_document.h"
#include "engine/generate/opened_model.h"

#include <QStringList>

#include <optional>

namespace ergosphere {

/// What the model could do without, so that there is room for a reply again.
struct DropOffer {
    QVector<int> messages;                     ///< indexes into Conversation::messages, ascending
    QStringList texts;                         ///< of those messages, one line each, with who says it
    qint64 before = 0, after = 0, context = 0; ///< tokens of the conversation with and without them
};

struct Prompt {
    std::vector<std::int32_t> ids;
    QVector<TranscriptTurn> turns;  ///< one a message, and an open one for the reply when it was asked for
    QStringList texts;              ///< of every id, with real spaces and newlines
    std::optional<DropOffer> offer; ///< set when room was asked for that is not there and can be made
};

/// `reply`: the opening of an assistant's reply is appended. Throws ergo::Error.
Prompt makePrompt(const ergo::OpenedModel& opened, const Conversation& conversation, bool reply);

/// The oldest exchanges without which `room` more tokens (or at least one) fit into the context; nothing
/// where that cannot be reached, or everything fits. Throws ergo::Error.
std::optional<DropOffer> proposeDrop(const ergo::OpenedModel& opened, const Conversation& conversation,
                                     qint64 room);

/// What a view shows of a single token: its text, or ‹E2› where it is a part of a character.
QString tokenText(const ergo::Tokenizer& tokenizer, std::int32_t id);
QString tokenPiece(const ergo::Tokenizer& tokenizer, std::int32_t id);

} // namespace ergosphere
