// SPDX-License-Identifier: GPL-3.0-or-later
// Pictures of pair maps, brought up to date row by row: only rows whose numbers changed are painted again,
// and never for longer than a deadline. Owned by the attention lens; GUI thread.
#pragma once

#include "app/figure/palette.h"
#include "app/figure/weight_scale.h"
#include "app/lens/lens_data.h"

#include <QElapsedTimer>
#include <QImage>
#include <QVector>

#include <vector>

namespace ergosphere {

/// Some time for work that may be continued in the next frame.
class Deadline {
  public:
    explicit Deadline(double ms) : nanoseconds_(static_cast<qint64>(ms * 1e6)) { timer_.start(); }
    bool passed() const { return timer_.nsecsElapsed() > nanoseconds_; }

  private:
    QElapsedTimer timer_;
    qint64 nanoseconds_;
};

/// Which pair map: one head of an observable, or the mean of several.
struct PairSource {
    int observable = -1;
    QVector<int> heads;
    WeightScale scale = WeightScale::weight;
    bool operator==(const PairSource&) const = default;

    qint64 rows(const LensData& data) const;
    /// 0 while a head's row is absent.
    quint64 stamp(const LensData& data, qint64 query) const;
    /// The row's `query + 1` values on this scale, of several heads the mean (of ratios, then the logarithm);
    /// false while absent.
    bool row(const LensData& data, qint64 query, std::vector<float>& values) const;
};

/// One row of several heads on a scale: the mean of the weights, or of the ratios, or the mean ratio's
/// logarithm.
void mean_row(const std::vector<std::span<const float>>& heads, WeightScale scale,
              std::vector<float>& values);

/// Colours of a pair map: which map and range.
struct Coloring {
    const Colormap* map = &Colormap::named(QStringLiteral("cividis"));
    double black = 0, white = 1;
    bool operator==(const Coloring&) const = default;
};

/// One pixel a cell; transparent where there is nothing.
class PairImage {
  public:
    /// True when everything is up to date, false when the deadline came first.
    bool update(const LensData& data, const PairSource& source, const Coloring& coloring,
                const Deadline& deadline);
    /// Only the upper left rows() × rows() pixels are in use.
    const QImage& image() const { return image_; }
    int rows() const { return static_cast<int>(stamps_.size()); }

  private:
    QImage image_;
    PairSource source_;
    Coloring coloring_;
    std::vector<quint64> stamps_;
    std::vector<float> scratch_;
};

/// The same shrunk to at most 64 × 64: each pixel is the largest value of its block.
class PairThumbnail {
  public:
    bool update(const LensData& data, const PairSource& source, const Coloring& coloring,
                const Deadline& deadline);
    const QImage& image() const { return image_; }
    int rows() const { return side_; }

  private:
    QImage image_;
    PairSource source_;
    Coloring coloring_;
    int block_ = 0, side_ = 0;
    std::vector<float> largest_;  // [64, 64], NaN: nothing
    std::vector<quint64> stamps_; // a line of blocks: the sum of its rows' stamps
    std::vector<float> scratch_;
};

/// About `most` values of the pair map, evenly spread: for the histogram and the automatic range.
std::vector<float> sample(const LensData& data, const PairSource& source, std::size_t most);

} // namespace ergosphere
