// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/chat/conversation.h"

#include <QCoreApplication>
#include <QLocale>

namespace ergosphere {

namespace {

struct Words {
    Q_DECLARE_TR_FUNCTIONS(Conversation)
};

// As many digits as the number has meaning.
QString duration(double seconds) {
    const QLocale locale;
    if (seconds < 0.0095) {
        return Words::tr("%1 ms").arg(locale.toString(seconds * 1e3, 'f', 1));
    }
    if (seconds < 0.9995) {
        return Words::tr("%1 ms").arg(locale.toString(seconds * 1e3, 'f', 0));
    }
    return Words::tr("%1 s").arg(locale.toString(seconds, 'f', seconds < 9.95 ? 2 : 1));
}

} // namespace

QString roleName(ergo::Role role) {
    switch (role) {
    case ergo::Role::system:
        return "system";
    case ergo::Role::assistant:
        return "assistant";
    case ergo::Role::user:
        break;
    }
    return "user";
}

ergo::Role roleFromName(const QString& name) {
    if (name == "system") {
        return ergo::Role::system;
    }
    return name == "assistant" ? ergo::Role::assistant : ergo::Role::user;
}

QString titleFrom(const QString& text) {
    constexpr int limit = 60;
    const QString line = text.simplified();
    return line.size() <= limit ? line : line.left(limit - 1).trimmed() + QChar(0x2026);
}

QString stopText(const QString& stop) {
    if (stop == "stop_token" || stop == "stop_string") {
        return Words::tr("ended by itself");
    }
    if (stop == "length") {
        return Words::tr("reached the token limit");
    }
    if (stop == "context_full") {
        return Words::tr("context full");
    }
    if (stop == "cancelled") {
        return Words::tr("stopped");
    }
    return stop == "failed" ? Words::tr("failed") : QString();
}

QString statsLine(const ReplyStats& stats) {
    QStringList parts;
    if (stats.tokens > 0 && stats.seconds > 0) {
        const double speed = stats.tokensPerSecond();
        parts << Words::tr("%1 tokens/s").arg(QLocale().toString(speed, 'f', speed < 99.5 ? 1 : 0));
    }
    if (stats.tokens > 0) {
        parts << Words::tr("first token %1").arg(duration(stats.first_token_seconds));
    }
    parts << (stats.tokens == 1 ? Words::tr("1 token")
                                : Words::tr("%1 tokens").arg(QLocale().toString(stats.tokens)));
    if (const QString stop = stopText(stats.stop); !stop.isEmpty()) {
        parts << stop;
    }
    if (!stats.changes.isEmpty()) {
        parts << Words::tr("altered model");
    }
    return parts.join(QString(" %1 ").arg(QChar(0xB7)));
}

} // namespace ergosphere
