// SPDX-License-Identifier: GPL-3.0-or-later
// Puts a figure together from QCustomPlot's parts. Everything is laid out in tenths of a point, so that a
// figure is the same whatever it is painted on. GUI thread.
#pragma once

#include "app/figure/figure.h"
#include "app/figure/palette.h"

#include <QSizeF>

#include <memory>

class QPainter;

namespace ergosphere {

class Paper;

/// A figure laid out and ready to be painted.
class Drawing {
  public:
    /// Throws ergo::Error(usage) for a spec out of range, an unknown colour map or a figure with nothing in
    /// it.
    Drawing(const FigureSpec& spec, const FigureData& data);
    ~Drawing();
    Drawing(const Drawing&) = delete;
    Drawing& operator=(const Drawing&) = delete;

    /// Size on paper in points.
    QSizeF points() const { return points_; }
    /// Paints on `device` with `scale` device pixels a tenth of a point.
    void paint(class QPaintDevice& device, double scale) const;

  private:
    std::unique_ptr<Paper> plot_;
    QSizeF points_;
};

/// Smallest and largest number of a matrix that is not masked; {0, 1} when there is none, widened when equal.
std::pair<double, double> value_range(const Matrix& values);

/// The range a picture starts with: weights from 0 to their 99th percentile, "relative" ones between their
/// 1st and 99th, other quantities from end to end, a diverging map the same distance to both sides of 0.
std::pair<double, double> autofit(const Matrix& values, const QString& quantity, const Colormap& map);

/// Digits after the point with which numbers between `low` and `high` are told apart.
int decimals_for(double low, double high);

} // namespace ergosphere
