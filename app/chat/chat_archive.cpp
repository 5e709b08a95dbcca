// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/chat/chat_archive.h"

#include "app/chat/chat_store.h"
#include "engine/base/error.h"

#include <QHash>
#include <QMetaObject>

namespace ergosphere {

struct ChatArchive::Store {
    std::unique_ptr<ChatStore> chats;
    QHash<quint64, qint64> ids; // of conversations saved in this session, by tag
};

ChatArchive::ChatArchive(const QString& file, QObject* parent)
    : QObject(parent), file_(file), place_(new QObject), store_(std::make_shared<Store>()) {
    qRegisterMetaType<Conversation>();
    qRegisterMetaType<QVector<ConversationSummary>>();
    thread_.setObjectName("chats");
    place_->moveToThread(&thread_);
}

void ChatArchive::start() {
    thread_.start(QThread::LowPriority);
    QMetaObject::invokeMethod(place_, [this, store = store_] {
        try {
            store->chats = std::make_unique<ChatStore>(file_);
            store->chats->purge();
            emit listed(store->chats->list());
        } catch (const ergo::Error& error) {
            emit failed(QString::fromUtf8(error.what()));
        }
    });
}

ChatArchive::~ChatArchive() {
    if (thread_.isRunning()) {
        // Waits for what was posted before: nothing that was said is lost.
        QMetaObject::invokeMethod(
            place_, [store = store_] { store->chats.reset(); }, Qt::BlockingQueuedConnection);
        thread_.quit();
        thread_.wait();
    }
    delete place_;
}

// Without a store (a newer one, no disk) nothing is kept; that was said once, when it was opened.
template <class Job> void ChatArchive::post(Job job) {
    QMetaObject::invokeMethod(place_, [this, job = std::move(job), store = store_]() mutable {
        if (!store->chats) {
            return;
        }
        try {
            job(*store);
        } catch (const ergo::Error& error) {
            emit failed(QString::fromUtf8(error.what()));
        }
    });
}

void ChatArchive::save(const Conversation& conversation, quint64 tag) {
    post([this, conversation = Conversation(conversation), tag](Store& store) mutable {
        if (conversation.id == 0) {
            conversation.id = store.ids.value(tag, 0); // a second save can overtake the first one's answer
        }
        const qint64 id = store.chats->save(conversation);
        store.ids[tag] = id;
        emit saved(tag, id);
        emit listed(store.chats->list());
    });
}

void ChatArchive::load(qint64 id) {
    post([this, id](Store& store) {
        if (const auto conversation = store.chats->load(id)) {
            emit loaded(*conversation);
        }
    });
}

void ChatArchive::refresh() {
    post([this](Store& store) { emit listed(store.chats->list()); });
}

void ChatArchive::remove(qint64 id) {
    post([this, id](Store& store) {
        store.chats->remove(id);
        emit listed(store.chats->list());
    });
}

void ChatArchive::restore(qint64 id) {
    post([this, id](Store& store) {
        store.chats->restore(id);
        emit listed(store.chats->list());
    });
}

void ChatArchive::rename(qint64 id, const QString& title) {
    post([this, id, title](Store& store) {
        store.chats->rename(id, title);
        emit listed(store.chats->list());
    });
}

} // namespace ergosphere
