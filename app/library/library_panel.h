// SPDX-License-Identifier: GPL-3.0-or-later
// The left dock: demo models, models opened lately, and the conversations that are kept. GUI thread.
#pragma once

#include "app/chat/conversation.h"

#include <QVector>
#include <QWidget>

class QLabel;
class QListWidget;
class QListWidgetItem;
class QPushButton;

namespace ergosphere {

class RecentModels;

class LibraryPanel : public QWidget {
    Q_OBJECT

  public:
    explicit LibraryPanel(RecentModels* recent, QWidget* parent = nullptr);

    /// Which models are open, and which of them is shown.
    void setOpened(const QStringList& open, const QString& shown);
    void setChats(const QVector<ConversationSummary>& chats);
    void setCurrentChat(qint64 id);
    void refreshModels();
    QListWidget* chats() const { return chats_; }
    QListWidget* models() const { return models_; }
    void deleteCurrentChat();

  signals:
    void modelChosen(const QString& source);
    void modelClosed(const QString& source);
    void openRequested();
    void chatChosen(qint64 id);
    void chatDeleted(qint64 id, const QString& title);
    void newChatRequested();

  protected:
    bool eventFilter(QObject* watched, QEvent* event) override;

  private:
    void deleteChat(QListWidgetItem* item);
    void chatMenu(const QPoint& point);
    void modelMenu(const QPoint& point);
    void fillChats();

    RecentModels* recent_;
    QListWidget *models_, *chats_;
    QLabel* no_chats_;
    QStringList open_;
    QString shown_;
    QVector<ConversationSummary> summaries_;
    qint64 current_chat_ = 0;
};

} // namespace ergosphere
