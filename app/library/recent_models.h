// SPDX-License-Identifier: GPL-3.0-or-later
// Models opened lately, newest first, kept in the settings. GUI thread.
#pragma once

#include "app/library/run_types.h"
#include "engine/checkpoint/attachment.h"

#include <QString>
#include <QStringList>

#include <vector>

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
    /// What a model is given from other places whenever it is opened.
    std::vector<ergo::Attachment> parts(const QString& source) const;
    void setParts(const QString& source, const std::vector<ergo::Attachment>& parts);
    /// What a model is run as whenever it is opened.
    RunTypes types(const QString& source) const;
    void setTypes(const QString& source, const RunTypes& types);

  private:
    void setOf(const char* key, const QString& source, const QStringList& values);

    QSettings& settings_;
};

/// What a list shows of a source: the folder's or the demo's name.
QString modelTitle(const QString& source);

} // namespace ergosphere
