// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/lens/range_bar.h"

#include "app/window/theme.h"

#include <QLocale>
#include <QMouseEvent>
#include <QPainter>

#include <algorithm>
#include <cmath>

namespace ergosphere {

namespace {

constexpr int bin_count = 96;
constexpr double inset = 6, label_height = 16;

QString endText(double value) {
    return QLocale().toString(value, 'g', 3);
}

} // namespace

RangeBar::RangeBar(QWidget* parent) : QWidget(parent), bins_(bin_count, 0) {
    setFocusPolicy(Qt::StrongFocus);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    setAccessibleName(tr("Colour range"));
    setToolTip(
        tr("Values in the picture (heights are logarithmic). Drag the black and white points; "
           "R or a double click fits them.\nArrow keys move the white point, with Shift the black one."));
}

void RangeBar::setValues(const std::vector<float>& values, double low, double high) {
    low_ = low;
    high_ = high > low ? high : low + 1;
    std::fill(bins_.begin(), bins_.end(), 0);
    for (const float value : values) {
        const double at = (value - low_) / (high_ - low_) * bin_count;
        ++bins_[static_cast<std::size_t>(std::clamp(at, 0.0, bin_count - 1.0))];
    }
    largest_ = *std::max_element(bins_.begin(), bins_.end());
    update();
}

void RangeBar::setColoring(const Coloring& coloring, bool automatic, const QString& quantity) {
    coloring_ = coloring;
    automatic_ = automatic;
    quantity_ = quantity;
    setAccessibleDescription(
        tr("%1 from %2 to %3").arg(quantity_, endText(coloring_.black), endText(coloring_.white)));
    update();
}

QString RangeBar::note() const {
    return quantity_ + QStringLiteral(" · ") + (automatic_ ? tr("auto") : tr("R fits"));
}

QRectF RangeBar::bar() const {
    return QRectF(rect()).adjusted(inset, 1, -inset, -label_height - 4);
}

double RangeBar::toX(double value) const {
    const QRectF area = bar();
    return area.left() + std::clamp((value - low_) / (high_ - low_), 0.0, 1.0) * area.width();
}

double RangeBar::toValue(double x) const {
    const QRectF area = bar();
    return low_ + std::clamp((x - area.left()) / area.width(), 0.0, 1.0) * (high_ - low_);
}

void RangeBar::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    const ThemeColors& colors = colorsOf(palette());
    const QRectF area = bar();
    const double step = area.width() / bin_count;
    painter.fillRect(area, colors.surface);
    for (int i = 0; i < bin_count; ++i) {
        const int count = bins_[static_cast<std::size_t>(i)];
        if (count == 0) {
            continue;
        }
        const double height = std::max(1.0, std::log1p(count) / std::log1p(largest_) * (area.height() - 2));
        const double middle = low_ + (i + 0.5) / bin_count * (high_ - low_);
        painter.fillRect(QRectF(area.left() + i * step, area.bottom() - height, step, height),
                         QColor::fromRgb(coloring_.map->color(middle, coloring_.black, coloring_.white)));
    }
    painter.setPen(QPen(colors.line, 1));
    painter.drawRect(area.adjusted(-0.5, -0.5, 0.5, 0.5));
    const auto handle = [&](double value, bool white) {
        const double x = std::round(toX(value)) + 0.5;
        painter.setPen(QPen(colors.text, 1));
        painter.drawLine(QPointF(x, area.top()), QPointF(x, area.bottom() + 2));
        QPolygonF knob;
        knob << QPointF(x, area.bottom()) << QPointF(x + 5, area.bottom() + 7)
             << QPointF(x - 5, area.bottom() + 7);
        painter.setBrush(white ? QColor(Qt::white) : QColor(Qt::black));
        painter.drawPolygon(knob);
    };
    handle(coloring_.black, false);
    handle(coloring_.white, true);
    drawLabels(painter);
    if (hasFocus()) {
        painter.setBrush(Qt::NoBrush);
        painter.setPen(QPen(colors.accent, 1));
        painter.drawRect(area.adjusted(-0.5, -0.5, 0.5, 0.5));
    }
}

/// Under the bar: both ends of the colours, and what the numbers are.
void RangeBar::drawLabels(QPainter& painter) const {
    painter.setFont(monoFont(11));
    painter.setPen(colorsOf(palette()).muted);
    const QRectF area = bar();
    const QRectF line(area.left(), area.bottom() + 6, area.width(), label_height);
    const QFontMetricsF metrics(painter.font());
    const QString black = endText(coloring_.black), white = endText(coloring_.white);
    const double black_left = std::clamp(toX(coloring_.black) + 9, line.left(), line.right());
    const double white_width = metrics.horizontalAdvance(white);
    double white_left = toX(coloring_.white) + 9;
    if (white_left + white_width > line.right()) {
        white_left = toX(coloring_.white) - 9 - white_width;
    }
    const double black_width = metrics.horizontalAdvance(black);
    painter.drawText(QRectF(black_left, line.top(), black_width + 2, line.height()),
                     Qt::AlignVCenter | Qt::AlignLeft, black);
    if (white_left > black_left + black_width + 8) {
        painter.drawText(QRectF(white_left, line.top(), white_width + 2, line.height()),
                         Qt::AlignVCenter | Qt::AlignLeft, white);
    }
    // Behind the numbers or, where white is far to the right, between them.
    const double note_width = metrics.horizontalAdvance(note()), gap = 12;
    const double behind = line.right() - note_width, between = black_left + black_width + gap;
    const bool after = white_left + white_width + gap < behind;
    if (after || between + note_width + gap < white_left) {
        painter.drawText(QRectF(after ? behind : between, line.top(), note_width + 2, line.height()),
                         Qt::AlignVCenter | Qt::AlignLeft, note());
    }
}

void RangeBar::drag(double x) {
    const double least = (high_ - low_) / 1000, value = toValue(x);
    if (held_ == Handle::black) {
        emit rangeEdited(std::min(value, coloring_.white - least), coloring_.white);
    } else if (held_ == Handle::white) {
        emit rangeEdited(coloring_.black, std::max(value, coloring_.black + least));
    }
}

void RangeBar::mousePressEvent(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton) {
        return;
    }
    const double x = event->position().x();
    held_ = std::abs(x - toX(coloring_.black)) < std::abs(x - toX(coloring_.white)) ? Handle::black
                                                                                    : Handle::white;
    drag(x);
}

void RangeBar::mouseMoveEvent(QMouseEvent* event) {
    if (event->buttons() & Qt::LeftButton) {
        drag(event->position().x());
    }
}

void RangeBar::mouseReleaseEvent(QMouseEvent*) {
    held_ = Handle::none;
}

void RangeBar::mouseDoubleClickEvent(QMouseEvent*) {
    held_ = Handle::none;
    emit automaticWanted();
}

void RangeBar::keyPressEvent(QKeyEvent* event) {
    const double step = (high_ - low_) / 50 * (event->key() == Qt::Key_Left ? -1 : 1);
    if (event->key() != Qt::Key_Left && event->key() != Qt::Key_Right) {
        QWidget::keyPressEvent(event);
        return;
    }
    const double least = (high_ - low_) / 1000;
    if (event->modifiers() & Qt::ShiftModifier) {
        emit rangeEdited(std::clamp(coloring_.black + step, low_, coloring_.white - least), coloring_.white);
    } else {
        emit rangeEdited(coloring_.black, std::max(coloring_.white + step, coloring_.black + least));
    }
}

} // namespace ergosphere
