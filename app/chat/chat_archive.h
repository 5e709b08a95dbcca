// SPDX-License-Identifier: GPL-3.0-or-later
// The chat store on its own thread: every call returns at once, answers come as signals. Owned by the main
// window.
#pragma once

#include "app/chat/conversation.h"

#include <QObject>
#include <QThread>

#include <memory>

namespace ergosphere {

class ChatArchive : public QObject {
    Q_OBJECT

  public:
    explicit ChatArchive(const QString& file, QObject* parent = nullptr);
    ~ChatArchive() override; ///< what was asked for is written first

    /// Opens the file on the thread; connect to the signals before.
    void start();
    /// `tag` names the conversation within this session, so that one that is new is stored once. It comes
    /// back with saved().
    void save(const Conversation& conversation, quint64 tag);
    void load(qint64 id);
    void refresh();
    void remove(qint64 id);
    void restore(qint64 id);
    void rename(qint64 id, const QString& title);

  signals:
    void saved(quint64 tag, qint64 id);
    void loaded(const ergosphere::Conversation& conversation);
    void listed(const QVector<ergosphere::ConversationSummary>& chats);
    void failed(const QString& text);

  private:
    struct Store;
    template <class Job> void post(Job job);

    QString file_;
    QThread thread_;
    QObject* place_;               // lives on the thread, jobs are posted to it
    std::shared_ptr<Store> store_; // touched on the thread alone
};

} // namespace ergosphere
