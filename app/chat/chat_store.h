// SPDX-License-Identifier: GPL-3.0-or-later
// Conversations in one SQLite file. A ChatStore belongs to the thread that made it; ChatArchive runs one on a
// thread of its own so that no disk ever keeps the window waiting.
#pragma once

#include "app/chat/conversation.h"

#include <QString>
#include <QVector>

#include <optional>

namespace ergosphere {

class ChatStore {
  public:
    static constexpr int version = 1; ///< PRAGMA user_version

    /// Opens or creates `file`. Throws ergo::Error: io, or unsupported when a newer program wrote it.
    explicit ChatStore(const QString& file);
    ~ChatStore();
    ChatStore(const ChatStore&) = delete;
    ChatStore& operator=(const ChatStore&) = delete;

    // All of these throw ergo::Error(io) with SQLite's message.

    /// Writes the conversation as it is now; returns its id (a new one when `conversation.id` is 0).
    qint64 save(const Conversation& conversation);
    /// Nothing when there is no such conversation (or it is deleted).
    std::optional<Conversation> load(qint64 id) const;
    /// Newest first, deleted ones left out.
    QVector<ConversationSummary> list() const;
    /// Can be undone until `purge`.
    void remove(qint64 id);
    void restore(qint64 id);
    void rename(qint64 id, const QString& title);
    /// Deletes for good what was removed.
    void purge();

    /// conversations.sqlite in the program's data folder.
    static QString defaultFile();

  private:
    QString connection_;
};

} // namespace ergosphere
