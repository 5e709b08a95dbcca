// SPDX-License-Identifier: GPL-3.0-or-later
// Thumbnails of all heads of an attention site, the mean of them first. Click selects a head, double click
// solos it. Owned by the attention lens; GUI thread.
#pragma once

#include "app/lens/pair_picture.h"
#include "app/lens/selection.h"

#include <QWidget>

#include <vector>

namespace ergosphere {

class HeadGrid : public QWidget {
    Q_OBJECT

  public:
    HeadGrid(Selection* selection, QWidget* parent);

    /// Brings the thumbnails up to date; false when the deadline came first. Observable and scale of `one`
    /// matter, its heads do not; `heads` of the site.
    bool refresh(const LensData& from, const PairSource& one, int heads, const Coloring& coloring,
                 const Deadline& deadline);
    /// Where a head's thumbnail is; -1 is the mean.
    QRect thumbnail(int head) const;
    int heads() const { return static_cast<int>(pictures_.size()) - 1; }

  signals:
    void soloed(int head);

  protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseDoubleClickEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void leaveEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override; ///< left, right, Enter solos
    bool event(QEvent* event) override;
    void resizeEvent(QResizeEvent* event) override;

  private:
    struct Places {
        int side = 0, columns = 1, rows = 1;
    };
    Places places(int width) const;
    int neededHeight() const;
    int headAt(QPoint at) const; // -2: none

    Selection* const selection_;
    std::vector<PairThumbnail> pictures_; // the mean, then every head
    int hovered_ = -2;
};

} // namespace ergosphere
