// SPDX-License-Identifier: GPL-3.0-or-later
// Says where a dragged folder or file may be dropped and what happens then. Covers its parent; GUI thread.
#pragma once

#include <QWidget>

namespace ergosphere {

class DropOverlay : public QWidget {
    Q_OBJECT

  public:
    explicit DropOverlay(QWidget* parent);
    /// Shows over the whole parent: what a drop would do, and of which file or folder.
    void cover(const QString& action, const QString& what);
    const QString& action() const { return action_; }

  protected:
    void paintEvent(QPaintEvent* event) override;

  private:
    QString action_, what_;
};

} // namespace ergosphere
