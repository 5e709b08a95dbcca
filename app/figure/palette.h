// SPDX-License-Identifier: GPL-3.0-or-later
// Colours that mean data, the same on screen and on paper. Free functions, any thread.
#pragma once

#include <QColor>
#include <QImage>
#include <QString>
#include <QStringList>

#include <array>

namespace ergosphere {

/// Okabe–Ito: LocalConv, MetricMH, ChannelMix, MetricMQA by index 0 … 3, grey beyond.
QColor pathColor(int path);
/// HyperFFN's branches by index 0 … 2, grey beyond.
QColor branchColor(int branch);
/// Of a router with this many paths: branches for 3, else paths.
QColor routeColor(int path, int paths);

/// 256 colours from low to high.
class Colormap {
  public:
    /// cividis, viridis, magma, diverging (blue–white–red). Throws ergo::Error(usage) listing the names.
    static const Colormap& named(const QString& name);
    static QStringList names();

    const QString& name() const { return name_; }
    /// Colour of `value` between black (index 0) and white (index 255); NaN is the caller's affair.
    QRgb color(double value, double black, double white) const {
        const double scaled = (value - black) / (white - black) * 255.0 + 0.5;
        return at(scaled >= 255.0 ? 255 : scaled > 0.0 ? static_cast<int>(scaled) : 0);
    }
    QRgb at(int index) const { return colors_[static_cast<std::size_t>(index)]; }

  private:
    Colormap(QString name, const std::array<QRgb, 256>& colors);
    QString name_;
    std::array<QRgb, 256> colors_;
};

} // namespace ergosphere
