// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/figure/plottables.h"

#include <algorithm>
#include <cmath>

namespace ergosphere {

namespace {

constexpr int largest_vector_matrix = 64; // rows or columns; beyond it the cells are one lossless image
constexpr double hatch_step = 40;         // 4 pt between hatch lines
constexpr int smallest_type = 50;         // 5 pt

/// Runs [begin, end) of masked columns in one row.
QVector<std::pair<int, int>> masked_runs(const Matrix& values, int row) {
    QVector<std::pair<int, int>> runs;
    for (int column = 0; column < values.columns; ++column) {
        if (!std::isnan(values.at(row, column))) {
            continue;
        }
        if (!runs.isEmpty() && runs.last().second == column) {
            ++runs.last().second;
        } else {
            runs.append({column, column + 1});
        }
    }
    return runs;
}

/// `font`, made smaller where `widest` would not fit into `width`, so that a full row loses no number; never
/// below 5 pt, the least that print can be read at.
QFont fitted(QFont font, const QString& widest, double width) {
    const double needed = QFontMetricsF(font).horizontalAdvance(widest);
    if (needed > width) {
        font.setPixelSize(std::max(smallest_type, static_cast<int>(font.pixelSize() * width / needed)));
    }
    return font;
}

} // namespace

MatrixPlot::MatrixPlot(QCPAxis* x, QCPAxis* y, Matrix values, const Colormap& map, double black, double white)
    : QCPAbstractPlottable(x, y), values_(std::move(values)), map_(map), black_(black), white_(white) {}

void MatrixPlot::setNumbers(int decimals, const QFont& font) {
    decimals_ = decimals;
    number_font_ = font;
}

void MatrixPlot::setBars(Matrix shares, const QFont& font) {
    bars_ = std::move(shares);
    bar_font_ = font;
}

QCPRange MatrixPlot::getKeyRange(bool& found, QCP::SignDomain) const {
    found = true;
    return {0, static_cast<double>(values_.columns)};
}

QCPRange MatrixPlot::getValueRange(bool& found, QCP::SignDomain, const QCPRange&) const {
    found = true;
    return {0, static_cast<double>(values_.rows)};
}

QRectF MatrixPlot::cell(int row, int column) const {
    return QRectF(coordsToPixels(column, row), coordsToPixels(column + 1, row + 1)).normalized();
}

void MatrixPlot::draw(QCPPainter* painter) {
    if (values_.rows == 0 || values_.columns == 0) {
        return;
    }
    if (hatched_) {
        drawHatch(painter);
    }
    if (values_.rows > largest_vector_matrix || values_.columns > largest_vector_matrix) {
        drawImage(painter);
    } else {
        drawCells(painter);
    }
    drawTexts(painter);
}

// Lines x + y = c, cut at the edges of the masked runs by hand: SVG output knows no clipping.
void MatrixPlot::drawHatch(QCPPainter* painter) const {
    painter->setAntialiasing(true);
    painter->setPen(QPen(QColor(0xC8, 0xCC, 0xD2), 2.5, Qt::SolidLine, Qt::FlatCap));
    const QRectF all =
        QRectF(coordsToPixels(0, 0), coordsToPixels(values_.columns, values_.rows)).normalized();
    QVector<QVector<std::pair<int, int>>> runs;
    for (int row = 0; row < values_.rows; ++row) {
        runs.append(masked_runs(values_, row));
    }
    for (double c = all.left() + all.top() + hatch_step; c < all.right() + all.bottom(); c += hatch_step) {
        QLineF open; // grows while the next row continues it
        bool is_open = false;
        for (int row = 0; row < values_.rows; ++row) {
            const QRectF band = cell(row, 0);
            for (const auto& [begin, end] : runs[row]) {
                const double left = std::max(cell(row, begin).left(), c - band.bottom());
                const double right = std::min(cell(row, end - 1).right(), c - band.top());
                if (right <= left) {
                    continue;
                }
                const QLineF piece(right, c - right, left, c - left);
                if (is_open && QLineF(open.p2(), piece.p1()).length() < 0.5) {
                    open.setP2(piece.p2());
                } else {
                    if (is_open) {
                        painter->drawLine(open);
                    }
                    open = piece;
                    is_open = true;
                }
            }
        }
        if (is_open) {
            painter->drawLine(open);
        }
    }
}

void MatrixPlot::drawCells(QCPPainter* painter) const {
    painter->setAntialiasing(false);
    painter->setPen(Qt::NoPen);
    for (int row = 0; row < values_.rows; ++row) {
        for (int column = 0; column < values_.columns; ++column) {
            const float value = values_.at(row, column);
            if (!std::isnan(value)) {
                QRectF area = cell(row, column);
                // A hair under the next cell, or viewers that smooth edges show the paper between two cells.
                const bool right = column + 1 < values_.columns && !std::isnan(values_.at(row, column + 1));
                const bool below = row + 1 < values_.rows && !std::isnan(values_.at(row + 1, column));
                area.adjust(0, 0, right ? 1 : 0, below ? 1 : 0);
                painter->fillRect(area, QColor::fromRgb(map_.color(value, black_, white_)));
            }
        }
    }
}

void MatrixPlot::drawImage(QCPPainter* painter) const {
    QImage image(values_.columns, values_.rows, QImage::Format_ARGB32);
    for (int row = 0; row < values_.rows; ++row) {
        auto* line = reinterpret_cast<QRgb*>(image.scanLine(row));
        for (int column = 0; column < values_.columns; ++column) {
            const float value = values_.at(row, column);
            line[column] = std::isnan(value) ? qRgba(255, 255, 255, 0) : map_.color(value, black_, white_);
        }
    }
    painter->setRenderHint(QPainter::SmoothPixmapTransform, false);
    painter->setRenderHint(QPainter::LosslessImageRendering, true);
    const QRectF place(coordsToPixels(0, 0), coordsToPixels(values_.columns, values_.rows));
    painter->drawImage(place.normalized(), image.mirrored(place.width() < 0, place.height() < 0));
}

void MatrixPlot::drawTexts(QCPPainter* painter) const {
    if (decimals_ < 0) {
        return;
    }
    const QRectF first = cell(0, 0);
    const QFontMetricsF metrics(number_font_);
    const bool numbers = metrics.horizontalAdvance(QStringLiteral("0.%1").arg(QString(decimals_, u'0'))) <=
                             0.94 * first.width() &&
                         metrics.height() <= first.height();
    painter->setAntialiasing(true);
    for (int row = 0; row < values_.rows; ++row) {
        for (int column = 0; column < values_.columns; ++column) {
            const float value = values_.at(row, column);
            if (std::isnan(value)) {
                continue;
            }
            const QRectF area = cell(row, column);
            const QColor ink =
                qGray(map_.color(value, black_, white_)) > 128 ? QColor(0x1B, 0x1F, 0x24) : QColor(Qt::white);
            const float share = bars_.values.empty() ? masked : bars_.at(row, column);
            const bool barred = !std::isnan(share);
            QRectF place = area;
            if (barred) {
                const double inset = 0.1 * area.width();
                const double height = std::min(0.09 * area.height(), 16.0);
                const QRectF track(area.left() + inset, area.bottom() - 2.2 * height,
                                   area.width() - 2 * inset, height);
                QColor faint = ink;
                faint.setAlphaF(0.25f);
                painter->fillRect(track, faint);
                painter->fillRect(
                    QRectF(track.left(), track.top(), track.width() * std::clamp(share, 0.0F, 1.0F), height),
                    ink);
                place.setBottom(track.top());
            }
            if (!numbers) {
                continue;
            }
            painter->setPen(ink);
            painter->setFont(number_font_);
            const QString number = QString::number(value, 'f', decimals_);
            const QString percent = QStringLiteral("%1\u2009%").arg(qRound(100 * share));
            const QFont bar_font = fitted(bar_font_, QStringLiteral("100\u2009%"), area.width());
            const QFontMetricsF small(bar_font);
            if (barred && place.height() >= metrics.height() + small.height() &&
                small.horizontalAdvance(percent) <= area.width()) {
                const double top = place.center().y() - (metrics.height() + small.height()) / 2;
                painter->drawText(QRectF(place.left(), top, place.width(), metrics.height()), Qt::AlignCenter,
                                  number);
                painter->setFont(bar_font);
                painter->drawText(QRectF(place.left(), top + metrics.height(), place.width(), small.height()),
                                  Qt::AlignCenter, percent);
            } else {
                painter->drawText(place, Qt::AlignCenter, number);
            }
        }
    }
}

StackPlot::StackPlot(QCPAxis* x, QCPAxis* y, RouterFigure::Layer layer)
    : QCPAbstractPlottable(x, y), layer_(std::move(layer)), paths_(static_cast<int>(layer_.paths.size())) {
    tokens_ = paths_ ? static_cast<int>(layer_.shares.size()) / paths_ : 0;
}

QCPRange StackPlot::getKeyRange(bool& found, QCP::SignDomain) const {
    found = true;
    return {0, static_cast<double>(tokens_)};
}

QCPRange StackPlot::getValueRange(bool& found, QCP::SignDomain, const QCPRange&) const {
    found = true;
    return {0, 1};
}

// One polygon a path and run of known tokens, as steps: a token is one choice, nothing lies between two of
// them.
void StackPlot::draw(QCPPainter* painter) {
    painter->setAntialiasing(false);
    painter->setPen(Qt::NoPen);
    const auto share = [&](int token, int path) {
        return static_cast<double>(
            layer_.shares[static_cast<std::size_t>(token) * static_cast<std::size_t>(paths_) +
                          static_cast<std::size_t>(path)]);
    };
    for (int begin = 0; begin < tokens_;) {
        if (std::isnan(share(begin, 0))) {
            ++begin;
            continue;
        }
        int end = begin;
        while (end < tokens_ && !std::isnan(share(end, 0))) {
            ++end;
        }
        std::vector<double> low(static_cast<std::size_t>(end - begin), 0.0);
        for (int path = 0; path < paths_; ++path) {
            QPolygonF upper, lower;
            for (int token = begin; token < end; ++token) {
                double& base = low[static_cast<std::size_t>(token - begin)];
                lower << coordsToPixels(token, base) << coordsToPixels(token + 1, base);
                base = std::min(1.0, base + std::max(0.0, share(token, path)));
                upper << coordsToPixels(token, base) << coordsToPixels(token + 1, base);
            }
            std::reverse(lower.begin(), lower.end());
            painter->setBrush(routeColor(path, paths_));
            painter->drawPolygon(upper + lower);
        }
        begin = end;
    }
}

LegendLine::LegendLine(QCustomPlot* plot, QVector<std::pair<QColor, QString>> entries, const QFont& font,
                       int width)
    : QCPLayoutElement(plot), entries_(std::move(entries)), font_(font) {
    const QFontMetrics metrics(font_);
    line_ = metrics.height();
    square_ = qRound(0.7 * metrics.ascent());
    gap_ = metrics.horizontalAdvance(u'n');
    const QVector<QPoint> places = place(width);
    const int height = (places.isEmpty() ? 0 : places.last().y()) + line_;
    setMinimumSize(0, height);
    setMaximumSize(QWIDGETSIZE_MAX, height);
    setMargins(QMargins());
}

QVector<QPoint> LegendLine::place(int width) const {
    const QFontMetrics metrics(font_);
    QVector<QPoint> places;
    int x = 0, y = 0;
    for (const auto& [color, text] : entries_) {
        const int needed = square_ + gap_ / 2 + metrics.horizontalAdvance(text);
        if (x > 0 && x + needed > width) {
            x = 0;
            y += line_;
        }
        places.append({x, y});
        x += needed + 2 * gap_;
    }
    return places;
}

void LegendLine::draw(QCPPainter* painter) {
    const QVector<QPoint> places = place(rect().width());
    const QFontMetrics metrics(font_);
    painter->setFont(font_);
    for (int i = 0; i < entries_.size(); ++i) {
        const QPoint at = rect().topLeft() + places[i];
        painter->fillRect(QRectF(at.x(), at.y() + (line_ - square_) / 2.0, square_, square_),
                          entries_[i].first);
        painter->setPen(QColor(0x1B, 0x1F, 0x24));
        painter->drawText(QPointF(at.x() + square_ + gap_ / 2.0, at.y() + metrics.ascent()),
                          entries_[i].second);
    }
}

} // namespace ergosphere
