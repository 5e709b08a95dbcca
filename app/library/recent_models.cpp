// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/library/recent_models.h"

#include <QCoreApplication>
#include <QDir>
#include <QFileInfo>
#include <QSettings>

namespace ergosphere {

namespace {

constexpr const char* key = "library/recent";
constexpr const char* parts_key = "library/parts"; // source to a list of files
constexpr const char* types_key = "library/types"; // source to the types of weights, of keys and values

} // namespace

QStringList RecentModels::sources() const {
    return settings_.value(key).toStringList();
}

void RecentModels::add(const QString& source) {
    if (source.startsWith("demo:")) {
        return;
    }
    QStringList all = sources();
    all.removeAll(source);
    all.prepend(source);
    while (all.size() > most) {
        all.removeLast();
    }
    settings_.setValue(key, all);
}

void RecentModels::remove(const QString& source) {
    QStringList all = sources();
    all.removeAll(source);
    settings_.setValue(key, all);
}

std::vector<ergo::Attachment> RecentModels::parts(const QString& source) const {
    std::vector<ergo::Attachment> out;
    for (const QString& file : settings_.value(parts_key).toMap().value(source).toStringList()) {
        const std::filesystem::path path = file.toStdString();
        if (const auto kind = ergo::attachment_by_name(path)) {
            out.push_back({*kind, path});
        }
    }
    return out;
}

void RecentModels::setParts(const QString& source, const std::vector<ergo::Attachment>& parts) {
    QStringList files;
    for (const ergo::Attachment& part : parts) {
        files << QString::fromStdString(part.file.string());
    }
    setOf(parts_key, source, files);
}

RunTypes RecentModels::types(const QString& source) const {
    const QStringList names = settings_.value(types_key).toMap().value(source).toStringList();
    return {names.value(0), names.value(1)};
}

void RecentModels::setTypes(const QString& source, const RunTypes& types) {
    setOf(types_key, source, types == RunTypes{} ? QStringList() : QStringList{types.weights, types.cache});
}

/// Keeps `values` under `source` in the map `key`; without any there is no entry.
void RecentModels::setOf(const char* map_key, const QString& source, const QStringList& values) {
    QVariantMap all = settings_.value(map_key).toMap();
    if (all.value(source).toStringList() == values) {
        return;
    }
    if (values.isEmpty()) {
        all.remove(source);
    } else {
        all[source] = values;
    }
    settings_.setValue(map_key, all);
}

QString modelTitle(const QString& source) {
    if (source.startsWith("demo:")) {
        const QString name = source.mid(5);
        return QCoreApplication::translate("RecentModels", "%1 demo")
            .arg(name == "moa" ? QStringLiteral("MoA") : name.left(1).toUpper() + name.mid(1));
    }
    const QFileInfo info(source);
    const bool generic =
        info.fileName().startsWith("model.safetensors") || info.fileName().startsWith("model-0");
    return generic ? info.dir().dirName() : info.fileName().isEmpty() ? source : info.fileName();
}

} // namespace ergosphere
