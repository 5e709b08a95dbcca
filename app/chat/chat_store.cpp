// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/chat/chat_store.h"

#include "engine/base/error.h"

#include <QDir>
#include <QFileInfo>
#include <QJsonDocument>
#include <QJsonObject>
#include <QSqlDatabase>
#include <QSqlError>
#include <QSqlQuery>
#include <QStandardPaths>
#include <QUuid>
#include <QVariant>
#include <QtEndian>

#include <cstring>

namespace ergosphere {

namespace {

[[noreturn]] void fail(const QString& what, const QSqlError& error) {
    throw ergo::Error(
        ergo::ErrorKind::io, QString("%1: %2.").arg(what, error.text().trimmed()).toStdString(),
        {.code = "CHAT-STORE", .advice = "Check that the disk has room and the folder may be written."});
}

QSqlQuery run(const QString& connection, const QString& sql, const QVariantList& values = {}) {
    QSqlQuery query(QSqlDatabase::database(connection));
    query.setForwardOnly(true);
    if (!query.prepare(sql)) {
        fail("The chat store could not be read", query.lastError());
    }
    for (const QVariant& value : values) {
        query.addBindValue(value);
    }
    if (!query.exec()) {
        fail("The chat store could not be read or written", query.lastError());
    }
    return query;
}

/// Rolls back unless committed.
class Transaction {
  public:
    explicit Transaction(const QString& connection) : connection_(connection) {
        if (!QSqlDatabase::database(connection).transaction()) {
            fail("The chat store is locked", QSqlDatabase::database(connection).lastError());
        }
    }
    ~Transaction() {
        if (!done_) {
            QSqlDatabase::database(connection_).rollback();
        }
    }
    void commit() {
        if (!QSqlDatabase::database(connection_).commit()) {
            fail("The chat store could not be written", QSqlDatabase::database(connection_).lastError());
        }
        done_ = true;
    }

  private:
    QString connection_;
    bool done_ = false;
};

// Ids as little-endian int32, whatever the machine.
QByteArray packIds(const std::vector<std::int32_t>& ids) {
    QByteArray bytes(qsizetype(ids.size() * 4), Qt::Uninitialized);
    for (std::size_t i = 0; i < ids.size(); ++i) {
        qToLittleEndian(ids[i], bytes.data() + i * 4);
    }
    return bytes;
}

std::vector<std::int32_t> unpackIds(const QByteArray& bytes) {
    std::vector<std::int32_t> ids(std::size_t(bytes.size()) / 4);
    for (std::size_t i = 0; i < ids.size(); ++i) {
        ids[i] = qFromLittleEndian<std::int32_t>(bytes.constData() + i * 4);
    }
    return ids;
}

QString packStats(const Message& message) {
    const ReplyStats& s = message.stats;
    QJsonObject json{{"tokens", s.tokens},
                     {"seconds", s.seconds},
                     {"first_token_seconds", s.first_token_seconds},
                     {"prompt_tokens", s.prompt_tokens},
                     {"prompt_reused", s.prompt_reused},
                     {"stop", s.stop},
                     {"temperature", s.temperature},
                     {"seed", QString::number(s.seed)}}; // JSON numbers hold 53 bits
    if (!s.changes.isEmpty()) {
        json["changes"] = s.changes;
    }
    if (message.left_out) {
        json["left_out"] = true;
    }
    return QJsonDocument(json).toJson(QJsonDocument::Compact);
}

void unpackStats(const QString& text, Message& message) {
    const QJsonObject json = QJsonDocument::fromJson(text.toUtf8()).object();
    ReplyStats& s = message.stats;
    s.tokens = json["tokens"].toInteger();
    s.seconds = json["seconds"].toDouble();
    s.first_token_seconds = json["first_token_seconds"].toDouble();
    s.prompt_tokens = json["prompt_tokens"].toInteger();
    s.prompt_reused = json["prompt_reused"].toInteger();
    s.stop = json["stop"].toString();
    s.temperature = json["temperature"].toDouble();
    s.seed = json["seed"].toString().toULongLong();
    s.changes = json["changes"].toString();
    message.left_out = json["left_out"].toBool();
}

void createTables(const QString& connection) {
    Transaction transaction(connection);
    run(connection, "CREATE TABLE conversations (id INTEGER PRIMARY KEY, title TEXT NOT NULL, "
                    "created INTEGER NOT NULL, updated INTEGER NOT NULL, model_source TEXT NOT NULL, "
                    "model_name TEXT NOT NULL, system TEXT NOT NULL, deleted INTEGER NOT NULL DEFAULT 0)");
    run(connection,
        "CREATE TABLE messages (conversation INTEGER NOT NULL REFERENCES conversations(id) "
        "ON DELETE CASCADE, ordinal INTEGER NOT NULL, role TEXT NOT NULL, text TEXT NOT NULL, "
        "token_ids BLOB NOT NULL, stats TEXT NOT NULL, PRIMARY KEY (conversation, ordinal)) WITHOUT ROWID");
    run(connection, QString("PRAGMA user_version = %1").arg(ChatStore::version));
    transaction.commit();
}

} // namespace

ChatStore::ChatStore(const QString& file)
    : connection_("chats-" + QUuid::createUuid().toString(QUuid::Id128)) {
    const QFileInfo info(file);
    if (!QDir().mkpath(info.absolutePath())) {
        throw ergo::Error(ergo::ErrorKind::io, "The folder for conversations cannot be made.",
                          {.code = "CHAT-STORE", .file = info.absolutePath().toStdString()});
    }
    try {
        QSqlDatabase database = QSqlDatabase::addDatabase("QSQLITE", connection_);
        database.setDatabaseName(file);
        if (!database.open()) {
            fail("The chat store could not be opened", database.lastError());
        }
        run(connection_, "PRAGMA busy_timeout = 3000");
        QSqlQuery query = run(connection_, "PRAGMA user_version");
        const int found = query.next() ? query.value(0).toInt() : 0;
        query.finish();
        if (found > version) {
            throw ergo::Error(
                ergo::ErrorKind::unsupported,
                QString("Your conversations were written by a newer Ergosphere (format %1, this program "
                        "reads up to %2), so they are left untouched and chats of this session are not kept.")
                    .arg(found)
                    .arg(version)
                    .toStdString(),
                {.code = "CHAT-VERSION", .file = info.fileName().toStdString()});
        }
        run(connection_, "PRAGMA journal_mode = WAL");
        run(connection_, "PRAGMA synchronous = NORMAL");
        run(connection_, "PRAGMA foreign_keys = ON");
        if (found == 0) {
            createTables(connection_);
        }
    } catch (...) {
        QSqlDatabase::removeDatabase(connection_);
        throw;
    }
}

ChatStore::~ChatStore() {
    QSqlDatabase::database(connection_).close();
    QSqlDatabase::removeDatabase(connection_);
}

qint64 ChatStore::save(const Conversation& c) {
    const qint64 now = QDateTime::currentMSecsSinceEpoch();
    Transaction transaction(connection_);
    qint64 id = c.id;
    if (id == 0) {
        id = run(connection_,
                 "INSERT INTO conversations (title, created, updated, model_source, model_name, system) "
                 "VALUES (?, ?, ?, ?, ?, ?)",
                 {c.title, now, now, c.model_source, c.model_name, c.system.isNull() ? "" : c.system})
                 .lastInsertId()
                 .toLongLong();
    } else {
        run(connection_,
            "UPDATE conversations SET title = ?, updated = ?, model_source = ?, model_name = ?, system = ? "
            "WHERE id = ?",
            {c.title, now, c.model_source, c.model_name, c.system.isNull() ? "" : c.system, id});
        run(connection_, "DELETE FROM messages WHERE conversation = ?", {id});
    }
    for (int i = 0; i < c.messages.size(); ++i) {
        const Message& m = c.messages[i];
        run(connection_,
            "INSERT INTO messages (conversation, ordinal, role, text, token_ids, stats) VALUES (?, ?, ?, ?, "
            "?, ?)",
            {id, i, roleName(m.role), m.text.isNull() ? "" : m.text, packIds(m.ids), packStats(m)});
    }
    transaction.commit();
    return id;
}

std::optional<Conversation> ChatStore::load(qint64 id) const {
    QSqlQuery query =
        run(connection_,
            "SELECT title, model_source, model_name, system FROM conversations WHERE id = ? AND deleted = 0",
            {id});
    if (!query.next()) {
        return std::nullopt;
    }
    Conversation c;
    c.id = id;
    c.title = query.value(0).toString();
    c.model_source = query.value(1).toString();
    c.model_name = query.value(2).toString();
    c.system = query.value(3).toString();
    QSqlQuery rows = run(
        connection_,
        "SELECT role, text, token_ids, stats FROM messages WHERE conversation = ? ORDER BY ordinal", {id});
    while (rows.next()) {
        Message m;
        m.role = roleFromName(rows.value(0).toString());
        m.text = rows.value(1).toString();
        m.ids = unpackIds(rows.value(2).toByteArray());
        unpackStats(rows.value(3).toString(), m);
        c.messages.push_back(std::move(m));
    }
    return c;
}

QVector<ConversationSummary> ChatStore::list() const {
    QVector<ConversationSummary> all;
    QSqlQuery query =
        run(connection_, "SELECT id, title, model_name, updated FROM conversations WHERE deleted = 0 "
                         "ORDER BY updated DESC, id DESC LIMIT 500");
    while (query.next()) {
        all.push_back({query.value(0).toLongLong(), query.value(1).toString(), query.value(2).toString(),
                       QDateTime::fromMSecsSinceEpoch(query.value(3).toLongLong())});
    }
    return all;
}

void ChatStore::remove(qint64 id) {
    run(connection_, "UPDATE conversations SET deleted = 1 WHERE id = ?", {id});
}
void ChatStore::restore(qint64 id) {
    run(connection_, "UPDATE conversations SET deleted = 0 WHERE id = ?", {id});
}

void ChatStore::rename(qint64 id, const QString& title) {
    run(connection_, "UPDATE conversations SET title = ? WHERE id = ?", {title, id});
}

void ChatStore::purge() {
    run(connection_, "DELETE FROM conversations WHERE deleted = 1");
}

QString ChatStore::defaultFile() {
    return QStandardPaths::writableLocation(QStandardPaths::AppDataLocation) + "/conversations.sqlite";
}

} // namespace ergosphere
