// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/lens/heads_picture.h"

#include "app/figure/draw.h"
#include "app/window/theme.h"

#include <QKeyEvent>
#include <QLocale>
#include <QMouseEvent>
#include <QPainter>

#include <algorithm>
#include <cmath>

namespace ergosphere {

namespace {

constexpr double header = 20, smallest_row = 26, largest_row = 64, largest_column = 96;

} // namespace

HeadsPicture::HeadsPicture(Selection* selection, QWidget* parent) : QWidget(parent), selection_(selection) {
    setMouseTracking(true);
    setFocusPolicy(Qt::StrongFocus);
    setAccessibleName(tr("One value of every head"));
    setToolTip(tr("Click selects the head in every lens; arrows walk over the cells"));
    setToolTipDuration(4000);
    connect(selection_, &Selection::changed, this, [this] { update(); });
}

void HeadsPicture::setFigure(HeadsFigure figure, QVector<int> sites, const Coloring& coloring) {
    figure_ = std::move(figure);
    sites_ = std::move(sites);
    coloring_ = coloring;
    setMinimumHeight(minimumSizeHint().height());
    update();
}

QSize HeadsPicture::minimumSizeHint() const {
    return {200, static_cast<int>(header + figure_.values.rows * smallest_row)};
}

int HeadsPicture::gutter() const {
    const QFontMetrics metrics(smallFont());
    int widest = 40;
    for (const QString& site : figure_.sites) {
        widest = std::max(widest, metrics.horizontalAdvance(site));
    }
    return std::min(widest, 160) + 10;
}

QRectF HeadsPicture::cell(int row, int head) const {
    const double left = gutter();
    const double height =
        std::clamp((this->height() - header) / std::max(1, figure_.values.rows), smallest_row, largest_row);
    const double width =
        std::min(largest_column, (this->width() - left - 2) / std::max(1, figure_.values.columns));
    return {left + head * width, header + row * height, width, height};
}

std::pair<int, int> HeadsPicture::cellAt(QPointF at) const {
    const QRectF first = cell(0, 0);
    if (figure_.values.rows == 0 || at.x() < first.left() || at.y() < first.top()) {
        return {-1, -1};
    }
    const int row = static_cast<int>((at.y() - first.top()) / first.height());
    const int head = static_cast<int>((at.x() - first.left()) / first.width());
    const bool inside = row < figure_.values.rows && head < figure_.values.columns &&
                        !std::isnan(figure_.values.at(row, head));
    return inside ? std::pair{row, head} : std::pair{-1, -1};
}

QString HeadsPicture::describe(int row, int head) const {
    if (row < 0 || row >= figure_.values.rows || head < 0 || head >= figure_.values.columns ||
        std::isnan(figure_.values.at(row, head))) {
        return {};
    }
    const float value = figure_.values.at(row, head);
    const QString where = tr("%1 · head %2").arg(figure_.sites.value(row), QString::number(head));
    const QString number = QLocale().toString(value, 'g', 4);
    if (figure_.quantity == QLatin1String("horizon")) {
        return tr("%1: outweighs %2 far keys").arg(where, keysOf(static_cast<double>(value)));
    }
    if (figure_.quantity == QLatin1String("drift")) {
        return tr("%1: mass moved by %2").arg(where, driftText(static_cast<double>(value), 4));
    }
    const QString place = figure_.quantity == QLatin1String("mass") ? tr("%1: mass %2").arg(where, number)
                          : figure_.quantity == QLatin1String("alpha")
                              ? tr("%1: alpha %2").arg(where, number)
                              : tr("%1: radius %2").arg(where, number);
    const float kept = figure_.kept.at(row, head);
    return std::isnan(kept)
               ? place
               : tr("%1, %2 % of the keys inside").arg(place, QLocale().toString(100 * kept, 'f', 1));
}

QString HeadsPicture::driftText(double value, int decimals) {
    return (std::signbit(value) ? QString() : QStringLiteral("+")) + QLocale().toString(value, 'f', decimals);
}

QString HeadsPicture::keysOf(double decimal_logarithm) {
    return decimal_logarithm < 6
               ? QLocale().toString(std::pow(10.0, decimal_logarithm), 'f', decimal_logarithm < 1 ? 1 : 0)
               : QStringLiteral("10^%L1").arg(decimal_logarithm, 0, 'f', 1);
}

// A hundred cells are painted thirty times a second: the font is set once by the caller, text is placed by
// hand.
void HeadsPicture::drawCell(QPainter& painter, const QRectF& place, int row, int head,
                            const QFontMetricsF& metrics) const {
    const float value = figure_.values.at(row, head), kept = figure_.kept.at(row, head);
    const QColor fill = QColor::fromRgb(coloring_.map->color(value, coloring_.black, coloring_.white));
    const QColor ink = qGray(fill.rgb()) > 128 ? QColor(0x1B, 0x1F, 0x24) : QColor(Qt::white);
    painter.fillRect(place, fill);
    double bottom = place.bottom();
    if (!std::isnan(kept)) {
        const QRectF track(place.left() + 5, place.bottom() - 7, place.width() - 10, 3);
        QColor faint = ink;
        faint.setAlphaF(0.25f);
        painter.fillRect(track, faint);
        painter.fillRect(QRectF(track.left(), track.top(), track.width() * std::clamp(kept, 0.0F, 1.0F), 3),
                         ink);
        bottom = track.top();
    }
    const double digit = metrics.horizontalAdvance(u'0'), line = metrics.height(); // every digit is as wide
    const auto write = [&](const QString& text, double top) {
        painter.drawText(QPointF(place.center().x() - digit * static_cast<double>(text.size()) / 2,
                                 top + metrics.ascent()),
                         text);
    };
    const QString number = QLocale().toString(value, 'f', decimals_for(coloring_.black, coloring_.white));
    if (digit * static_cast<double>(number.size()) > place.width() - 2) {
        return;
    }
    painter.setPen(ink);
    const QString percent =
        std::isnan(kept) ? QString() : QString::number(qRound(100 * kept)) + QStringLiteral(" %");
    const bool both = !percent.isEmpty() && bottom - place.top() >= 2 * line &&
                      digit * static_cast<double>(percent.size()) <= place.width() - 2;
    const double top = (place.top() + bottom - (both ? 2 : 1) * line) / 2;
    write(number, top);
    if (both) {
        write(percent, top + line);
    }
}

void HeadsPicture::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    const ThemeColors& colors = colorsOf(palette());
    const QFont mono = monoFont(11), small = smallFont();
    const QFontMetricsF metrics(small), mono_metrics(mono);
    const QRectF first = cell(0, 0);
    const auto at = [&](int row, int head) {
        return first.translated(head * first.width(), row * first.height());
    };
    painter.setFont(mono);
    for (int head = 0; head < figure_.values.columns; ++head) {
        const QRectF place = at(0, head);
        painter.setPen(head == selection_->head() ? colors.accent : colors.muted);
        painter.drawText(QRectF(place.left(), 0, place.width(), header - 4), Qt::AlignCenter,
                         QString::number(head));
    }
    for (int row = 0; row < figure_.values.rows; ++row) {
        const bool chosen = sites_.value(row, -1) == selection_->site();
        const QRectF label(0, at(row, 0).top(), first.left() - 8, first.height());
        painter.setFont(small);
        painter.setPen(chosen ? colors.accent : colors.muted);
        painter.drawText(label, Qt::AlignVCenter | Qt::AlignRight,
                         metrics.elidedText(figure_.sites.value(row), Qt::ElideMiddle, label.width()));
        painter.setFont(mono);
        for (int head = 0; head < figure_.values.columns; ++head) {
            if (std::isnan(figure_.values.at(row, head))) {
                continue;
            }
            const QRectF place = at(row, head).adjusted(1, 1, -1, -1);
            drawCell(painter, place, row, head, mono_metrics);
            const bool selected = chosen && (head == selection_->head() || selection_->head() < 0);
            if (selected || hovered_ == std::pair{row, head}) {
                painter.setBrush(Qt::NoBrush);
                painter.setPen(QPen(selected ? colors.accent : colors.text,
                                    selected && selection_->head() >= 0 ? 2 : 1));
                painter.drawRect(place.adjusted(-0.5, -0.5, 0.5, 0.5));
            }
        }
    }
    if (hasFocus()) {
        painter.setBrush(Qt::NoBrush);
        painter.setPen(QPen(colors.accent, 1));
        painter.drawRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5));
    }
}

void HeadsPicture::select(int row, int head) {
    selection_->setSite(sites_.value(row, -1));
    selection_->setHead(head);
    const QString text = describe(row, head);
    setAccessibleDescription(text);
    emit readout(text);
}

void HeadsPicture::mouseMoveEvent(QMouseEvent* event) {
    const std::pair<int, int> at = cellAt(event->position());
    if (at == hovered_) {
        return;
    }
    hovered_ = at;
    setCursor(at.first >= 0 ? Qt::PointingHandCursor : Qt::ArrowCursor);
    emit readout(describe(at.first, at.second));
    update();
}

void HeadsPicture::mousePressEvent(QMouseEvent* event) {
    const auto [row, head] = cellAt(event->position());
    if (event->button() == Qt::LeftButton && row >= 0) {
        select(row, head);
    }
}

void HeadsPicture::leaveEvent(QEvent* event) {
    QWidget::leaveEvent(event);
    hovered_ = {-1, -1};
    emit readout(QString());
    update();
}

void HeadsPicture::keyPressEvent(QKeyEvent* event) {
    const int down = event->key() == Qt::Key_Down ? 1 : event->key() == Qt::Key_Up ? -1 : 0;
    const int right = event->key() == Qt::Key_Right ? 1 : event->key() == Qt::Key_Left ? -1 : 0;
    if ((down == 0 && right == 0) || figure_.values.rows == 0) {
        QWidget::keyPressEvent(event);
        return;
    }
    const int current = static_cast<int>(sites_.indexOf(selection_->site()));
    const int row = std::clamp(current + down, 0, figure_.values.rows - 1);
    const int head = std::clamp(selection_->head() + right, 0, figure_.values.columns - 1);
    if (!std::isnan(figure_.values.at(row, head))) {
        select(row, head);
    }
}

} // namespace ergosphere
