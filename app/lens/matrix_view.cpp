// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/lens/matrix_view.h"

#include "app/figure/figure.h"
#include "app/window/theme.h"

#include <QApplication>
#include <QLocale>
#include <QMouseEvent>
#include <QPainter>
#include <QPainterPath>

#include <algorithm>
#include <cmath>

namespace ergosphere {

namespace {

constexpr double margin = 4;
constexpr double largest_cell = 56; // a map of three tokens need not fill the screen
constexpr int label_characters = 12;

} // namespace

MatrixView::MatrixView(const LensData* lens_data, Selection* selection, QWidget* parent)
    : QWidget(parent), data_(lens_data), selection_(selection) {
    setMouseTracking(true);
    setFocusPolicy(Qt::StrongFocus);
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Expanding);
    setAccessibleName(tr("Attention heatmap"));
    setToolTip(tr("Click locks a token, Shift+click pins a second one. Wheel zooms, drag pans, F fits.\n"
                  "Arrows: token, [ ]: layer, comma and period: head, R: range"));
    setToolTipDuration(4000);
    connect(selection_, &Selection::changed, this, [this] { update(); });
}

void MatrixView::setPicture(const PairImage* image, const PairSource& source, const QString& quantity) {
    picture_ = image;
    source_ = source;
    quantity_ = quantity;
    measureLabels();
    place();
    update();
}

QRectF MatrixView::plotArea() const {
    const double labels = gutter();
    return QRectF(labels, margin, std::max(8.0, width() - labels - margin),
                  std::max(8.0, height() - labels - margin));
}

void MatrixView::measureLabels() {
    if (data_->tokens().size() < measured_) {
        measured_ = 0;
        longest_ = 0;
    }
    for (; measured_ < data_->tokens().size() && longest_ < label_characters; ++measured_) {
        int cells = 0;
        const QString shown = visible_token(data_->tokens()[measured_], label_characters);
        for (const QChar c : shown) {
            cells +=
                c.unicode() >= 0x1100 && c.unicode() != u'↵' && c.unicode() != u'…' ? 2 : 1; // wide scripts
        }
        longest_ = std::max(longest_, cells);
    }
}

double MatrixView::gutter() const {
    const double text =
        QFontMetricsF(monoFont(11)).horizontalAdvance(u'0') * std::min(longest_, label_characters);
    return std::min(std::max(28.0, text + 14), 0.28 * std::min(width(), height()));
}

double MatrixView::fitScale() const {
    const int rows = picture_ ? picture_->rows() : 0;
    const QRectF area = plotArea();
    return rows == 0 ? 1 : std::min({area.width() / rows, area.height() / rows, largest_cell});
}

void MatrixView::place() {
    const double rows = picture_ ? picture_->rows() : 0;
    if (fitted_) {
        scale_ = fitScale();
        origin_ = {};
        return;
    }
    const QRectF area = plotArea();
    scale_ = std::clamp(scale_, std::min(fitScale(), 0.25), 96.0);
    const auto limit = [&](double at, double room) {
        const double seen = room / scale_;
        return std::clamp(at, std::min(0.0, rows - seen), std::max(0.0, rows - seen));
    };
    origin_ = {limit(origin_.x(), area.width()), limit(origin_.y(), area.height())};
}

void MatrixView::fit() {
    fitted_ = true;
    place();
    update();
}

void MatrixView::zoom(double factor, QPointF at) {
    const QRectF area = plotArea();
    place();
    const QPointF cell = origin_ + (at - area.topLeft()) / scale_;
    const double least = fitScale();
    scale_ = std::clamp(scale_ * factor, least, 96.0);
    fitted_ = scale_ <= least * 1.0001;
    origin_ = cell - (at - area.topLeft()) / scale_;
    place();
    update();
}

QPointF MatrixView::toPixel(double key, double query) const {
    return plotArea().topLeft() + (QPointF(key, query) - origin_) * scale_;
}

QRectF MatrixView::cellRect(qint64 query, qint64 key) const {
    return {toPixel(static_cast<double>(key), static_cast<double>(query)), QSizeF(scale_, scale_)};
}

MatrixView::Cell MatrixView::cellAt(QPointF at) const {
    const QRectF area = plotArea();
    if (!picture_ || !area.contains(at)) {
        return {};
    }
    const QPointF cell = origin_ + (at - area.topLeft()) / scale_;
    const auto key = static_cast<qint64>(std::floor(cell.x()));
    const auto query = static_cast<qint64>(std::floor(cell.y()));
    const bool inside = key >= 0 && query >= 0 && query < picture_->rows() && key < picture_->rows();
    return inside ? Cell{query, key} : Cell{};
}

/// The token whose label is there, -1: none.
qint64 MatrixView::labelAt(QPointF at) const {
    const QRectF area = plotArea();
    const QPointF cell = origin_ + (at - area.topLeft()) / scale_;
    const bool left = at.x() < area.left() && at.y() >= area.top() && at.y() < area.bottom();
    const bool below = at.y() > area.bottom() && at.x() >= area.left() && at.x() < area.right();
    const auto token = static_cast<qint64>(std::floor(left ? cell.y() : cell.x()));
    return (left || below) && picture_ && token >= 0 && token < picture_->rows() ? token : -1;
}

QString MatrixView::describe(qint64 query, qint64 key) const {
    const auto name = [&](qint64 token) {
        return QStringLiteral("%1 (%2)").arg(visible_token(data_->tokens().value(token)),
                                             QString::number(token));
    };
    if (query < 0 || key < 0) {
        return {};
    }
    if (key > query) {
        return tr("%1 cannot look at %2: it comes later").arg(name(query), name(key));
    }
    std::vector<float> row;
    if (!source_.row(*data_, query, row)) {
        return tr("%1: not captured yet").arg(name(query));
    }
    const float value = row[static_cast<std::size_t>(key)];
    if (std::isnan(value)) {
        return tr("%1 does not look at %2").arg(name(query), name(key));
    }
    const auto above = std::count_if(row.begin(), row.end(), [&](float other) { return other > value; });
    return tr("%1 looks at %2: %3 %4, rank %5 of %6")
        .arg(name(query), name(key), quantity_, QLocale().toString(value, 'g', 3), QString::number(above + 1),
             QString::number(row.size()));
}

void MatrixView::paintEvent(QPaintEvent*) {
    place(); // the size may have changed
    QPainter painter(this);
    const QRectF area = plotArea();
    if (!picture_ || picture_->rows() == 0) {
        return;
    }
    painter.save();
    painter.setClipRect(area);
    drawMap(painter, area);
    drawMarks(painter, area);
    painter.restore();
    drawLabels(painter, area);
    if (hasFocus()) {
        painter.setPen(QPen(colorsOf(palette()).accent, 1));
        painter.drawRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5));
    }
}

void MatrixView::drawMap(QPainter& painter, const QRectF& area) const {
    const double rows = picture_->rows();
    const ThemeColors& colors = colorsOf(palette());
    const QRectF whole(toPixel(0, 0), toPixel(rows, rows));
    const QRectF seen = whole & area;
    painter.fillRect(seen, colors.surface);
    painter.fillRect(seen, QBrush(blend(colors.surface, colors.line, 0.9), Qt::BDiagPattern));
    // Paper under the causal half: rows not captured yet are blank, not hatched like what cannot be.
    QPainterPath half;
    half.moveTo(toPixel(0, 0));
    half.lineTo(toPixel(1, 0));
    half.lineTo(toPixel(rows, rows - 1));
    half.lineTo(toPixel(rows, rows));
    half.lineTo(toPixel(0, rows));
    painter.fillPath(half, colors.surface);
    painter.setRenderHint(QPainter::SmoothPixmapTransform, scale_ < 1);
    const double first_key = std::max(0.0, std::floor(origin_.x())),
                 first_query = std::max(0.0, std::floor(origin_.y()));
    const double end_key = std::min(rows, std::ceil(origin_.x() + area.width() / scale_));
    const double end_query = std::min(rows, std::ceil(origin_.y() + area.height() / scale_));
    const QRectF source(first_key, first_query, end_key - first_key, end_query - first_query);
    painter.drawImage(QRectF(toPixel(first_key, first_query), toPixel(end_key, end_query)), picture_->image(),
                      source);
    painter.setPen(QPen(colors.line, 1));
    painter.drawRect(whole.adjusted(-0.5, -0.5, 0.5, 0.5));
}

void MatrixView::drawMarks(QPainter& painter, const QRectF&) const {
    const double rows = picture_->rows();
    const ThemeColors& colors = colorsOf(palette());
    const auto bands = [&](qint64 token, const QPen& pen) {
        if (token < 0 || token >= picture_->rows()) {
            return;
        }
        const auto at = static_cast<double>(token);
        painter.setPen(pen);
        painter.setBrush(Qt::NoBrush);
        const double grow = std::max(0.0, (3 - scale_) / 2); // thin cells still get a visible frame
        painter.drawRect(
            QRectF(toPixel(0, at), toPixel(at + 1, at + 1)).adjusted(-0.5, -grow - 0.5, 0.5, grow + 0.5));
        painter.drawRect(
            QRectF(toPixel(at, at), toPixel(at + 1, rows)).adjusted(-grow - 0.5, -0.5, grow + 0.5, 0.5));
    };
    QColor faint = colors.accent;
    faint.setAlphaF(0.6f);
    if (selection_->hovered() != selection_->token()) {
        bands(selection_->hovered(), QPen(faint, 1));
    }
    bands(selection_->second(), QPen(colors.caution, 1.5, Qt::DashLine));
    bands(selection_->token(), QPen(colors.accent, 2));
    if (hovered_.query >= 0) {
        painter.setPen(QPen(colors.text, 1));
        painter.drawRect(cellRect(hovered_.query, hovered_.key).adjusted(-0.5, -0.5, 0.5, 0.5));
    }
}

void MatrixView::drawLabel(QPainter& painter, const QRectF& area, qint64 token, bool is_query,
                           const QColor& back, const QColor& front) const {
    const QFontMetricsF metrics(painter.font());
    const QString text = visible_token(data_->tokens().value(token), label_characters);
    const double length = std::min(metrics.horizontalAdvance(text), gutter() - 10);
    const double line = metrics.height();
    const auto at = static_cast<double>(token) + 0.5;
    painter.save();
    if (is_query) {
        painter.translate(area.left() - 6, toPixel(0, at).y());
    } else {
        painter.translate(toPixel(at, 0).x(), std::min(area.bottom(), toPixel(0, picture_->rows()).y()) + 6);
        painter.rotate(-90);
    }
    const QRectF box(-length, -line / 2, length, line); // ends at the map, like an axis label
    if (back.isValid()) {
        painter.setPen(Qt::NoPen);
        painter.setBrush(back);
        painter.drawRoundedRect(box.adjusted(-4, 0, 4, 0), 3, 3);
    }
    painter.setPen(front);
    painter.drawText(box, Qt::AlignVCenter | Qt::AlignRight,
                     metrics.elidedText(text, Qt::ElideRight, length + 1));
    painter.restore();
}

void MatrixView::drawLabels(QPainter& painter, const QRectF& area) const {
    const ThemeColors& colors = colorsOf(palette());
    painter.setFont(monoFont(11));
    const double line = QFontMetricsF(painter.font()).height();
    const auto step = std::max(qint64{1}, static_cast<qint64>(std::ceil(line / scale_)));
    for (const bool is_query : {true, false}) {
        const double from = is_query ? origin_.y() : origin_.x();
        const double room = is_query ? area.height() : area.width();
        const qint64 end = std::min<qint64>(picture_->rows(), static_cast<qint64>(from + room / scale_));
        auto first = static_cast<qint64>(std::ceil(std::max(0.0, from) / static_cast<double>(step))) * step;
        for (; first < end; first += step) {
            drawLabel(painter, area, first, is_query, QColor(), colors.muted);
        }
        const auto mark = [&](qint64 token, const QColor& back, const QColor& front) {
            if (token >= 0 && static_cast<double>(token) + 1 > from && token < end) {
                drawLabel(painter, area, token, is_query, back, front);
            }
        };
        mark(selection_->second(), blend(colors.window, colors.caution, 0.35), colors.text);
        mark(selection_->token(), colors.accent, colors.on_accent);
        mark(is_query ? hovered_.query : hovered_.key, colors.hover, colors.text);
        if (hovered_.query < 0) {
            mark(selection_->hovered(), colors.hover, colors.text);
        }
    }
}

void MatrixView::mouseMoveEvent(QMouseEvent* event) {
    if (is_pressed_ && (event->buttons() & Qt::LeftButton)) {
        const QPointF moved = event->position() - pressed_;
        if (is_dragging_ || moved.manhattanLength() >= QApplication::startDragDistance()) {
            is_dragging_ = true;
            setCursor(Qt::ClosedHandCursor);
            origin_ = pressed_origin_ - moved / scale_;
            place();
            update();
            return;
        }
    }
    const Cell cell = cellAt(event->position());
    if (cell == hovered_) {
        return;
    }
    hovered_ = cell;
    selection_->setHovered(cell.query);
    const QString text = describe(cell.query, cell.key);
    setAccessibleDescription(text);
    emit readout(text);
    update();
}

void MatrixView::mousePressEvent(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton) {
        QWidget::mousePressEvent(event);
        return;
    }
    is_pressed_ = true;
    is_dragging_ = false;
    pressed_ = event->position();
    pressed_origin_ = origin_;
}

void MatrixView::mouseReleaseEvent(QMouseEvent* event) {
    if (event->button() != Qt::LeftButton || !is_pressed_) {
        return;
    }
    is_pressed_ = false;
    if (is_dragging_) {
        is_dragging_ = false;
        unsetCursor();
        return;
    }
    const Cell cell = cellAt(event->position());
    const qint64 token = cell.query >= 0 ? cell.query : labelAt(event->position());
    if (token < 0) {
        return;
    }
    if (event->modifiers() & Qt::ShiftModifier) {
        selection_->setSecond(token);
    } else {
        selection_->setToken(token);
    }
}

void MatrixView::leaveEvent(QEvent* event) {
    QWidget::leaveEvent(event);
    hovered_ = {};
    selection_->setHovered(-1);
    emit readout(QString());
    update();
}

void MatrixView::wheelEvent(QWheelEvent* event) {
    const double turns = event->angleDelta().y() / 120.0;
    if (turns != 0) {
        zoom(std::pow(1.25, turns), event->position());
    }
    event->accept();
}

} // namespace ergosphere
