// SPDX-License-Identifier: GPL-3.0-or-later
// A conversation as it is kept: its messages with the model's own tokens and how they were written. Plain
// values.
#pragma once

#include "engine/generate/chat_format.h"

#include <QDateTime>
#include <QMetaType>
#include <QString>
#include <QVector>

#include <cstdint>
#include <vector>

namespace ergosphere {

/// How a reply was written; kept with the message. Counts are tokens, times seconds.
struct ReplyStats {
    qint64 tokens = 0;
    double seconds = 0;             ///< writing, without reading the prompt
    double first_token_seconds = 0; ///< from Send to the first token
    qint64 prompt_tokens = 0, prompt_reused = 0;
    QString stop; ///< stop_token, stop_string, length, context_full, cancelled, failed
    double temperature = 0;
    quint64 seed = 0;
    QString changes; ///< of the model while it wrote, as `--set` has them, one a line; empty: none

    bool operator==(const ReplyStats&) const = default;
    double tokensPerSecond() const { return seconds > 0 ? double(tokens) / seconds : 0; }
};

struct Message {
    ergo::Role role = ergo::Role::user;
    QString text;
    std::vector<std::int32_t> ids; ///< replies only
    ReplyStats stats;              ///< replies only
    bool left_out = false;         ///< to make room: kept and shown, but not given to the model

    bool operator==(const Message&) const = default;
};

struct Conversation {
    qint64 id = 0; ///< row of the store, 0: not stored yet
    QString title, model_source, model_name, system;
    QVector<Message> messages;
};

/// One line of the chats list.
struct ConversationSummary {
    qint64 id = 0;
    QString title, model_name;
    QDateTime updated;
};

/// "user", "assistant" or "system", as stored.
QString roleName(ergo::Role role);
ergo::Role roleFromName(const QString& name);

/// A title from the first thing said: one line, 60 characters at most.
QString titleFrom(const QString& text);

/// "21.4 tokens/s · first token 38 ms · 17 tokens · ended by itself"
QString statsLine(const ReplyStats& stats);

/// What a stop reason means, for people; empty for an unknown one.
QString stopText(const QString& stop);

} // namespace ergosphere

Q_DECLARE_METATYPE(ergosphere::Conversation)
Q_DECLARE_METATYPE(ergosphere::ConversationSummary)
