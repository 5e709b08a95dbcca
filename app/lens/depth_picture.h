// SPDX-License-Identifier: GPL-3.0-or-later
// Which blocks of layers every sub-block reads: a map of blocks by readers, and under it the chosen reader's
// weights over tokens as stacked areas. Owned by the depth lens; GUI thread.
#pragma once

#include "app/figure/figure.h"
#include "app/lens/lens_data.h"
#include "app/lens/pair_picture.h"
#include "app/lens/selection.h"

#include <QImage>
#include <QWidget>

namespace ergosphere {

class DepthPicture : public QWidget {
    Q_OBJECT

  public:
    DepthPicture(const LensData* lens_data, Selection* selection, QWidget* parent);

    void setFigure(DepthFigure figure, const Coloring& coloring);
    /// The reader whose tokens the strip shows: a column of the figure.
    int reader() const { return reader_; }
    void setReader(int site);
    /// "layer 3 · MLP reads layers 0–2: 41 %"; "… (open sum)" for the last block there is.
    QString describe(int block, int site) const;
    /// "output · cat (12): layers 4–5 90 %, embedding 10 %"
    QString describeToken(qint64 token) const;
    QRectF cell(int block, int site) const;
    QRectF strip() const;
    QSize minimumSizeHint() const override;

  signals:
    void readout(const QString& text);
    /// A key that all lenses share: the scroll area around the picture must not swallow it.
    void lensKey(QKeyEvent* event);

  protected:
    void paintEvent(QPaintEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void leaveEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override; ///< left and right walk over the readers
    void resizeEvent(QResizeEvent* event) override;
    bool event(QEvent* event) override;

  private:
    int gutter() const;
    int sites() const { return figure_.weights.columns; }
    std::pair<int, int> cellAt(QPointF at) const; // block, site; -1: none
    qint64 tokenAt(QPointF at) const;
    qint64 tokens() const;
    bool isOpen(int block, int site) const; ///< the last block the site has
    QColor blockColor(int block) const;
    void paintMap(QPainter& painter) const;
    void paintLabels(QPainter& painter) const;
    void paintStrip(QPainter& painter) const;
    void markToken(QPainter& painter, qint64 token, const QPen& pen) const;
    void renewStrip();

    const LensData* const data_;
    Selection* const selection_;
    DepthFigure figure_;
    Coloring coloring_;
    QImage stacked_; // a pixel column a token
    int reader_ = -1;
    std::pair<int, int> hovered_{-1, -1};
};

} // namespace ergosphere
