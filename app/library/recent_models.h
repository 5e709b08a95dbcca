// SPDX-License-Identifier: GPL-3.0-or-later
// Models opened lately, newest first, kept in the settings. GUI thread.
#pragma once

#include <QString>
#include <QStringList>

class QSettings;

namespace ergosphere {

class RecentModels {
  public:
    static constexpr int most = 12;

    explicit RecentModels(QSettings& settings) : settings_(settings) {}
    QStringList sources() const;
    /// Moves `source` to the front; embedded demos are not kept.
    void add(const QString& source);
    void remove(const QString& source);

  private:
    QSettings& settings_;
};

/// What a list shows of a source: the folder's or the demo's name.
QString modelTitle(const QString& source);

} // namespace ergosphere
