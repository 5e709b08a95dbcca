// SPDX-License-Identifier: GPL-3.0-or-later
// What the program remembers between runs. Owned by main(); GUI thread.
#pragma once

#include "app/window/theme.h"

#include <QByteArray>
#include <QSettings>
#include <QString>

#include <algorithm>

namespace ergosphere {

class Preferences {
  public:
    /// window.ini in the program's configuration folder.
    Preferences();
    /// Another file (tests).
    explicit Preferences(const QString& file);

    ThemeChoice theme() const;
    void setTheme(ThemeChoice theme);
    bool reducedMotion() const { return settings_.value("look/reduced_motion", false).toBool(); }
    void setReducedMotion(bool reduced) { settings_.setValue("look/reduced_motion", reduced); }
    /// Size of everything in percent, 100 … 200; of use before the application object is made.
    int scale() const { return std::clamp(settings_.value("look/scale", 100).toInt(), 100, 200); }
    void setScale(int percent) { settings_.setValue("look/scale", percent); }
    bool ribbon() const { return settings_.value("look/ribbon", true).toBool(); }
    void setRibbon(bool ribbon) { settings_.setValue("look/ribbon", ribbon); }
    /// auto, cpu, vulkan, vulkan:N
    QString backend() const { return settings_.value("engine/backend", "auto").toString(); }
    void setBackend(const QString& backend) { settings_.setValue("engine/backend", backend); }
    /// 0: one a core
    int threads() const { return settings_.value("engine/threads", 0).toInt(); }
    void setThreads(int threads) { settings_.setValue("engine/threads", threads); }
    bool pin() const { return settings_.value("engine/pin", false).toBool(); }
    void setPin(bool on) { settings_.setValue("engine/pin", on); }

    QByteArray geometry() const { return settings_.value("window/geometry").toByteArray(); }
    QByteArray layout() const { return settings_.value("window/layout").toByteArray(); }
    void setWindow(const QByteArray& geometry, const QByteArray& layout);
    /// Where files were last read from or written to.
    QString folder(const QString& purpose) const;
    void setFolder(const QString& purpose, const QString& folder);

    QSettings& settings() { return settings_; }

  private:
    QSettings settings_;
};

} // namespace ergosphere
