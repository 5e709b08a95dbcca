// SPDX-License-Identifier: GPL-3.0-or-later
// Runs the built `ergo`.
#pragma once

#include <QByteArray>
#include <QJsonDocument>
#include <QJsonObject>
#include <QProcess>
#include <QStringList>

struct ErgoResult {
    int code = -1; ///< -1: it did not end by itself
    QByteArray out, err;
    QJsonObject json() const { return QJsonDocument::fromJson(out).object(); }
};

inline ErgoResult call_ergo(const QStringList& words) {
    QProcess process;
    process.start(QStringLiteral(ERGO_BINARY_DIR "/ergo"), words);
    if (!process.waitForFinished(300000) || process.exitStatus() != QProcess::NormalExit) {
        return {};
    }
    return {process.exitCode(), process.readAllStandardOutput(), process.readAllStandardError()};
}

inline bool is_one_sentence(const QByteArray& text) {
    return text.count('\n') == 1 && text.endsWith('\n') && text.size() > 20;
}
