// SPDX-License-Identifier: GPL-3.0-or-later
// One value of every head as a map of sites by heads; of balls also the share of keys inside, as a bar. Owned
// by the heads lens; GUI thread.
#pragma once

#include "app/figure/figure.h"
#include "app/lens/pair_picture.h"
#include "app/lens/selection.h"

#include <QFontMetricsF>
#include <QWidget>

namespace ergosphere {

class HeadsPicture : public QWidget {
    Q_OBJECT

  public:
    HeadsPicture(Selection* selection, QWidget* parent);

    /// `sites`: the index in ModelInfo::attentions of each row of the figure.
    void setFigure(HeadsFigure figure, QVector<int> sites, const Coloring& coloring);
    /// "layer 3 · MetricMQA · head 5: radius 3.52, 97 % of the keys inside"
    QString describe(int row, int head) const;
    /// 10 to that power as a number of keys: "13,204", "10^7.2".
    static QString keysOf(double decimal_logarithm);
    /// "+0.031"
    static QString driftText(double value, int decimals);
    QRectF cell(int row, int head) const;
    QSize minimumSizeHint() const override;

  signals:
    void readout(const QString& text);

  protected:
    void paintEvent(QPaintEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void leaveEvent(QEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override; ///< arrows walk over the cells

  private:
    int gutter() const;
    std::pair<int, int> cellAt(QPointF at) const; // row, head; -1: none
    void select(int row, int head);
    void drawCell(QPainter& painter, const QRectF& place, int row, int head,
                  const QFontMetricsF& metrics) const;

    Selection* const selection_;
    HeadsFigure figure_;
    QVector<int> sites_;
    Coloring coloring_;
    std::pair<int, int> hovered_{-1, -1};
};

} // namespace ergosphere
