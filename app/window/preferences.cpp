// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/preferences.h"

#include <QStandardPaths>

namespace ergosphere {

Preferences::Preferences()
    : Preferences(QStandardPaths::writableLocation(QStandardPaths::AppConfigLocation) + "/window.ini") {}

Preferences::Preferences(const QString& file) : settings_(file, QSettings::IniFormat) {}

ThemeChoice Preferences::theme() const {
    return themeFromName(settings_.value("look/theme").toString());
}
void Preferences::setTheme(ThemeChoice theme) {
    settings_.setValue("look/theme", themeName(theme));
}

void Preferences::setWindow(const QByteArray& geometry, const QByteArray& layout) {
    settings_.setValue("window/geometry", geometry);
    settings_.setValue("window/layout", layout);
}

QString Preferences::folder(const QString& purpose) const {
    const QString home = QStandardPaths::writableLocation(QStandardPaths::HomeLocation);
    return settings_.value("folders/" + purpose, home).toString();
}

void Preferences::setFolder(const QString& purpose, const QString& folder) {
    settings_.setValue("folders/" + purpose, folder);
}

} // namespace ergosphere
