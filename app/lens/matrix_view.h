// SPDX-License-Identifier: GPL-3.0-or-later
// The large heatmap: paints a picture of a causal pair map with token labels, zooms at the cursor, pans,
// reads out single cells, shows and changes the selected token. Owned by the attention lens; GUI thread.
#pragma once

#include "app/lens/lens_data.h"
#include "app/lens/pair_picture.h"
#include "app/lens/selection.h"

#include <QImage>
#include <QWidget>

#include <functional>

namespace ergosphere {

class MatrixView : public QWidget {
    Q_OBJECT

  public:
    MatrixView(const LensData* lens_data, Selection* selection, QWidget* parent);

    /// `image` must live as long as the view; its first `rows` rows and columns are shown.
    void setPicture(const PairImage* image, const PairSource& source, const QString& quantity);
    void fit();
    void zoom(double factor, QPointF at);
    bool isFitted() const { return fitted_; }

    /// In words: "·cat (2) looks at The (1): weight 0.31, rank 2 of 3"; empty without such a cell.
    QString describe(qint64 query, qint64 key) const;
    /// Where a cell is on the widget.
    QRectF cellRect(qint64 query, qint64 key) const;
    QSize sizeHint() const override { return {480, 480}; }
    QSize minimumSizeHint() const override { return {160, 160}; }

  signals:
    /// What the pointer is on, in words; empty when it left.
    void readout(const QString& text);

  protected:
    void paintEvent(QPaintEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void leaveEvent(QEvent* event) override;
    void wheelEvent(QWheelEvent* event) override;

  private:
    struct Cell {
        qint64 query = -1, key = -1;
        bool operator==(const Cell&) const = default;
    };
    QRectF plotArea() const;
    double gutter() const; // room for the longest label, within limits
    void measureLabels();
    void place(); // keeps scale and origin within sense
    double fitScale() const;
    Cell cellAt(QPointF at) const;
    qint64 labelAt(QPointF at) const;
    QPointF toPixel(double key, double query) const;
    void drawMap(QPainter& painter, const QRectF& area) const;
    void drawMarks(QPainter& painter, const QRectF& area) const;
    void drawLabels(QPainter& painter, const QRectF& area) const;
    void drawLabel(QPainter& painter, const QRectF& area, qint64 token, bool is_query, const QColor& back,
                   const QColor& front) const;

    const LensData* const data_;
    Selection* const selection_;
    const PairImage* picture_ = nullptr;
    PairSource source_;
    QString quantity_;
    qsizetype measured_ = 0; // tokens looked at for …
    int longest_ = 0;        // … the longest label, in characters
    bool fitted_ = true;
    double scale_ = 1; // pixels a cell
    QPointF origin_;   // cell coordinates (key, query) at the plot area's upper left
    Cell hovered_;
    QPointF pressed_, pressed_origin_;
    bool is_pressed_ = false, is_dragging_ = false;
};

} // namespace ergosphere
