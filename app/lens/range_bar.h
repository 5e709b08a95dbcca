// SPDX-License-Identifier: GPL-3.0-or-later
// Which values the colours stand for: a histogram in the map's colours with a black and a white point that
// can be dragged. Owned by a lens; GUI thread.
#pragma once

#include "app/lens/pair_picture.h"

#include <QWidget>

#include <vector>

namespace ergosphere {

class RangeBar : public QWidget {
    Q_OBJECT

  public:
    explicit RangeBar(QWidget* parent);

    /// `values` are a sample of the picture's; [low, high] is the domain drawn.
    void setValues(const std::vector<float>& values, double low, double high);
    /// `quantity`: what the values are, "× uniform".
    void setColoring(const Coloring& coloring, bool automatic, const QString& quantity);
    /// The words at the end of the numbers: what they are, and whether they fit by themselves.
    QString note() const;
    QSize sizeHint() const override { return {320, 56}; }
    QSize minimumSizeHint() const override { return {120, 56}; }

  signals:
    void rangeEdited(double black, double white);
    void automaticWanted();

  protected:
    void paintEvent(QPaintEvent* event) override;
    void mousePressEvent(QMouseEvent* event) override;
    void mouseMoveEvent(QMouseEvent* event) override;
    void mouseReleaseEvent(QMouseEvent* event) override;
    void mouseDoubleClickEvent(QMouseEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override; ///< left and right: white point, with Shift the black one

  private:
    QRectF bar() const;
    void drawLabels(QPainter& painter) const;
    double toX(double value) const;
    double toValue(double x) const;
    void drag(double x);

    Coloring coloring_;
    QString quantity_;
    bool automatic_ = true;
    double low_ = 0, high_ = 1;
    std::vector<int> bins_;
    int largest_ = 0;
    enum class Handle { none, black, white } held_ = Handle::none;
};

} // namespace ergosphere
