// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/lens/head_grid.h"

#include "app/window/theme.h"

#include <QHelpEvent>
#include <QMouseEvent>
#include <QPainter>
#include <QPainterPath>
#include <QToolTip>

#include <algorithm>
#include <numeric>

namespace ergosphere {

namespace {

constexpr int gap = 8, caption = 16, largest_side = 76, smallest_side = 26;

} // namespace

HeadGrid::HeadGrid(Selection* selection, QWidget* parent)
    : QWidget(parent), selection_(selection), pictures_(1) {
    setFocusPolicy(Qt::StrongFocus);
    setMouseTracking(true);
    setAccessibleName(tr("Heads"));
    setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    connect(selection_, &Selection::headChanged, this, [this](int head) {
        setAccessibleDescription(head < 0 ? tr("all heads averaged")
                                          : tr("head %1 of %2").arg(head).arg(heads()));
        update();
    });
}

bool HeadGrid::refresh(const LensData& from, const PairSource& one, int heads, const Coloring& coloring,
                       const Deadline& deadline) {
    const auto count = static_cast<std::size_t>(std::max(0, heads)) + 1;
    if (pictures_.size() != count) {
        pictures_ = std::vector<PairThumbnail>(count);
        setFixedHeight(neededHeight());
    }
    PairSource mean{one.observable, QVector<int>(heads), one.scale};
    std::iota(mean.heads.begin(), mean.heads.end(), 0);
    bool complete = pictures_[0].update(from, mean, coloring, deadline);
    for (int head = 0; head < heads; ++head) {
        complete &= pictures_[static_cast<std::size_t>(head) + 1].update(
            from, {one.observable, {head}, one.scale}, coloring, deadline);
    }
    update();
    return complete;
}

HeadGrid::Places HeadGrid::places(int width) const {
    const int count = static_cast<int>(pictures_.size());
    for (int rows = 1;; ++rows) {
        const int columns = (count + rows - 1) / rows;
        const int side = (width - 2 + gap) / columns - gap;
        if (side >= smallest_side || columns == 1) {
            return {std::clamp(side, smallest_side, rows > 1 ? largest_side / 2 : largest_side), columns,
                    rows};
        }
    }
}

int HeadGrid::neededHeight() const {
    const Places at = places(width());
    return at.rows * (at.side + caption + 4) - 2;
}

void HeadGrid::resizeEvent(QResizeEvent* event) {
    QWidget::resizeEvent(event);
    setFixedHeight(neededHeight());
}

QRect HeadGrid::thumbnail(int head) const {
    const Places at = places(width());
    const int index = head + 1;
    return {1 + (index % at.columns) * (at.side + gap), 1 + (index / at.columns) * (at.side + caption + 4),
            at.side, at.side};
}

int HeadGrid::headAt(QPoint at) const {
    for (int head = -1; head < heads(); ++head) {
        if (thumbnail(head).adjusted(0, 0, 0, caption).contains(at)) {
            return head;
        }
    }
    return -2;
}

void HeadGrid::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    const ThemeColors& colors = colorsOf(palette());
    painter.setFont(monoFont(11));
    for (int head = -1; head < heads(); ++head) {
        const QRect place = thumbnail(head);
        const PairThumbnail& picture = pictures_[static_cast<std::size_t>(head) + 1];
        const bool selected = head == selection_->head();
        painter.fillRect(place, colors.surface);
        if (picture.rows() > 0) {
            painter.setRenderHint(QPainter::SmoothPixmapTransform, picture.rows() > place.width());
            painter.drawImage(QRectF(place), picture.image(), QRectF(0, 0, picture.rows(), picture.rows()));
        }
        painter.setBrush(Qt::NoBrush);
        painter.setPen(QPen(selected           ? colors.accent
                            : head == hovered_ ? colors.muted
                                               : colors.line,
                            selected ? 2 : 1));
        painter.drawRect(QRectF(place).adjusted(-0.5, -0.5, 0.5, 0.5));
        painter.setPen(selected ? colors.accent : colors.muted);
        painter.drawText(QRect(place.left() - gap / 2, place.bottom() + 2, place.width() + gap, caption),
                         Qt::AlignCenter, head < 0 ? tr("all") : QString::number(head));
    }
    if (hasFocus()) {
        painter.setPen(QPen(colors.accent, 1, Qt::DotLine));
        painter.drawRect(QRectF(thumbnail(selection_->head())).adjusted(2.5, 2.5, -2.5, -2.5));
    }
}

void HeadGrid::mousePressEvent(QMouseEvent* event) {
    const int head = headAt(event->position().toPoint());
    if (event->button() == Qt::LeftButton && head >= -1) {
        selection_->setHead(head);
    }
}

void HeadGrid::mouseDoubleClickEvent(QMouseEvent* event) {
    const int head = headAt(event->position().toPoint());
    if (head >= -1) {
        selection_->setHead(head);
        emit soloed(head);
    }
}

void HeadGrid::mouseMoveEvent(QMouseEvent* event) {
    const int head = headAt(event->position().toPoint());
    if (head != hovered_) {
        hovered_ = head;
        setCursor(head >= -1 ? Qt::PointingHandCursor : Qt::ArrowCursor);
        update();
    }
}

void HeadGrid::leaveEvent(QEvent* event) {
    QWidget::leaveEvent(event);
    hovered_ = -2;
    update();
}

void HeadGrid::keyPressEvent(QKeyEvent* event) {
    switch (event->key()) {
    case Qt::Key_Left:
        selection_->setHead(selection_->head() - 1);
        break;
    case Qt::Key_Right:
        selection_->setHead(selection_->head() + 1);
        break;
    case Qt::Key_Return:
    case Qt::Key_Enter:
        emit soloed(selection_->head());
        break;
    default:
        QWidget::keyPressEvent(event);
    }
}

bool HeadGrid::event(QEvent* event) {
    if (event->type() == QEvent::ToolTip) {
        const auto* help = static_cast<QHelpEvent*>(event);
        const int head = headAt(help->pos());
        if (head >= -1) {
            QToolTip::showText(help->globalPos(),
                               (head < 0 ? tr("All heads averaged") : tr("Head %1").arg(head)) +
                                   tr(" — double click or Enter shows it alone; comma and period step"),
                               this);
        }
        return true;
    }
    return QWidget::event(event);
}

} // namespace ergosphere
