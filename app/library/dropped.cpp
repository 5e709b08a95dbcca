// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/library/dropped.h"

#include <QCoreApplication>
#include <QDir>
#include <QFileInfo>
#include <QMimeData>
#include <QUrl>

#include <algorithm>

namespace ergosphere {

QString draggedPath(const QMimeData* mime) {
    const QList<QUrl> urls = mime->urls();
    return urls.size() == 1 && urls.first().isLocalFile() ? urls.first().toLocalFile() : QString();
}

std::optional<ergo::Attachment> partFor(const QString& path) {
    const std::filesystem::path file = path.toStdString();
    const auto kind = path.isEmpty() ? std::nullopt : ergo::attachment_by_name(file);
    return kind && QFileInfo(path).isFile() ? std::optional(ergo::Attachment{*kind, file}) : std::nullopt;
}

QString useText(const ergo::Attachment& part, const QString& model) {
    switch (part.kind) {
    case ergo::AttachmentKind::tokenizer:
        return QCoreApplication::translate("Dropped", "Use this tokenizer with %1").arg(model);
    case ergo::AttachmentKind::chat_template:
        return QCoreApplication::translate("Dropped", "Use this chat template with %1").arg(model);
    case ergo::AttachmentKind::masses:
        return QCoreApplication::translate("Dropped", "Use these masses with %1").arg(model);
    }
    return {};
}

QString partText(const ergo::Attachment& part) {
    const QFileInfo file(QString::fromStdString(part.file.string()));
    const QString folder = QDir::toNativeSeparators(file.absolutePath());
    switch (part.kind) {
    case ergo::AttachmentKind::tokenizer:
        return QCoreApplication::translate("Dropped", "tokenizer %1 from %2").arg(file.fileName(), folder);
    case ergo::AttachmentKind::chat_template:
        return QCoreApplication::translate("Dropped", "chat template %1 from %2")
            .arg(file.fileName(), folder);
    case ergo::AttachmentKind::masses:
        return QCoreApplication::translate("Dropped", "gravity masses %1 from %2")
            .arg(file.fileName(), folder);
    }
    return {};
}

std::vector<ergo::Attachment> withPart(std::vector<ergo::Attachment> parts, const ergo::Attachment& part) {
    std::erase_if(parts, [&](const ergo::Attachment& other) { return other.kind == part.kind; });
    parts.push_back(part);
    return parts;
}

} // namespace ergosphere
