// SPDX-License-Identifier: GPL-3.0-or-later
// The three things our figures are made of, as QCustomPlot parts: a matrix of coloured cells, stacked shares,
// and a legend line. Owned by their plot; GUI thread. Lengths are in the plot's units, a tenth of a point
// (draw.h).
#pragma once

#include "app/figure/figure.h"
#include "app/figure/palette.h"

#include <qcustomplot.h>

namespace ergosphere {

/// Cell (row r, column c) covers [c, c + 1] × [r, r + 1] in axis coordinates. Masked cells stay paper,
/// hatched.
class MatrixPlot : public QCPAbstractPlottable {
  public:
    /// `black`, `white`: values of the map's two ends.
    MatrixPlot(QCPAxis* x, QCPAxis* y, Matrix values, const Colormap& map, double black, double white);

    /// Writes each value into its cell with `decimals` digits, where cells are large enough.
    void setNumbers(int decimals, const QFont& font);
    /// A bar along each cell's foot, 0…1 of its width, and its percentage; NaN: none.
    void setBars(Matrix shares, const QFont& font);
    /// The hatch on masked cells; on by default.
    void setHatched(bool hatched) { hatched_ = hatched; }

    double selectTest(const QPointF&, bool, QVariant*) const override { return -1; }
    QCPRange getKeyRange(bool& found, QCP::SignDomain) const override;
    QCPRange getValueRange(bool& found, QCP::SignDomain, const QCPRange&) const override;

  protected:
    void draw(QCPPainter* painter) override;
    void drawLegendIcon(QCPPainter*, const QRectF&) const override {}

  private:
    QRectF cell(int row, int column) const;
    void drawHatch(QCPPainter* painter) const;
    void drawCells(QCPPainter* painter) const;
    void drawImage(QCPPainter* painter) const;
    void drawTexts(QCPPainter* painter) const;

    Matrix values_, bars_;
    const Colormap& map_;
    double black_, white_;
    bool hatched_ = true;
    int decimals_ = -1;
    QFont number_font_, bar_font_;
};

/// Shares [tokens, paths] stacked from 0 to 1; token t covers [t, t + 1].
class StackPlot : public QCPAbstractPlottable {
  public:
    StackPlot(QCPAxis* x, QCPAxis* y, RouterFigure::Layer layer);
    double selectTest(const QPointF&, bool, QVariant*) const override { return -1; }
    QCPRange getKeyRange(bool& found, QCP::SignDomain) const override;
    QCPRange getValueRange(bool& found, QCP::SignDomain, const QCPRange&) const override;

  protected:
    void draw(QCPPainter* painter) override;
    void drawLegendIcon(QCPPainter*, const QRectF&) const override {}

  private:
    RouterFigure::Layer layer_;
    int tokens_ = 0, paths_ = 0;
};

/// Coloured squares with their names, in as many lines as the width needs.
class LegendLine : public QCPLayoutElement {
  public:
    LegendLine(QCustomPlot* plot, QVector<std::pair<QColor, QString>> entries, const QFont& font, int width);

  protected:
    void draw(QCPPainter* painter) override;
    void applyDefaultAntialiasingHint(QCPPainter* painter) const override { painter->setAntialiasing(true); }

  private:
    QVector<QPoint> place(int width) const; // left end of the baseline's box of each entry
    QVector<std::pair<QColor, QString>> entries_;
    QFont font_;
    int line_ = 0, square_ = 0, gap_ = 0;
};

} // namespace ergosphere
