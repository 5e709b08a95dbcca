// SPDX-License-Identifier: GPL-3.0-or-later
// How the transcript looks.
#include "app/chat/transcript.h"
#include "app/figure/palette.h"
#include "app/lens/lens_data.h"
#include "app/lens/selection.h"
#include "app/window/theme.h"

#include <QPaintEvent>
#include <QPainter>
#include <QScrollBar>

#include <algorithm>

namespace ergosphere {

namespace {

// As many of the facts as there is room for, whole.
QString fitting(const QString& facts, const QFontMetricsF& metrics, qreal width) {
    const QString dot = QString(" %1 ").arg(QChar(0xB7));
    QStringList parts = facts.split(dot);
    while (parts.size() > 1 && metrics.horizontalAdvance(parts.join(dot)) > width) {
        parts.removeLast();
    }
    return metrics.elidedText(parts.join(dot), Qt::ElideRight, width);
}

} // namespace

void Transcript::paintEvent(QPaintEvent* event) {
    if (all_dirty_ || turns_.size() != std::size_t(document_->turns().size())) {
        layoutNow();
    }
    QPainter painter(viewport());
    painter.setRenderHint(QPainter::Antialiasing);
    painter.fillRect(event->rect(), palette().color(QPalette::Base));
    suggestion_rects_.clear();
    if (turns_.empty()) {
        paintEmpty(&painter);
        return;
    }
    const qreal scroll = verticalScrollBar()->value();
    const qreal top = event->rect().top() + scroll, bottom = event->rect().bottom() + 1 + scroll;
    for (std::size_t i = 0; i < turns_.size(); ++i) {
        if (turns_[i].bottom > top && turns_[i].top < bottom) {
            paintTurn(&painter, int(i), top, bottom);
        }
    }
}

void Transcript::paintTurn(QPainter* painter, int index, qreal top, qreal bottom) {
    const Turn& turn = turns_[std::size_t(index)];
    const TranscriptTurn& content = document_->turns()[index];
    const ThemeColors& c = colorsOf(palette());
    const qreal scroll = verticalScrollBar()->value(), x = columnLeft();

    QFont name = smallFont();
    name.setWeight(QFont::DemiBold);
    painter->setFont(name);
    painter->setPen(c.muted);
    painter->drawText(QRectF(x, turn.top - scroll, columnWidth(), 18), Qt::AlignVCenter | Qt::AlignLeft,
                      content.left_out ? tr("%1 · left out").arg(nameOf(content.role))
                                       : nameOf(content.role));

    const QPointF origin(x, turn.body - scroll);
    const qreal from = top - turn.body, to = bottom - turn.body;
    if (!content.left_out) {
        paintMarks(painter, turn, index, origin, from, to);
    }
    painter->setPen(content.left_out ? c.muted : c.text);
    turn.layout.paint(painter, origin, from, to);
    if (ribbon_ && !content.left_out) {
        paintRibbon(painter, turn, index, origin, from, to);
    }
    if (content.writing) { // a caret where the next token will stand
        QPointF caret = origin;
        qreal height = 18;
        if (!turn.layout.fragments().empty()) {
            const QRectF last = turn.layout.fragments().back().rect;
            caret += QPointF(last.right() + 3, last.top() + 2);
            height = last.height() - 4;
        }
        painter->fillRect(QRectF(caret, QSizeF(2, height)), c.accent);
    }
    paintFooter(painter, turn, index, x);
}

void Transcript::paintMarks(QPainter* painter, const Turn& turn, int index, const QPointF& origin, qreal top,
                            qreal bottom) {
    const auto& tokens = document_->turns()[index].tokens;
    const ThemeColors& c = colorsOf(palette());
    const auto [first, last] = turn.layout.between(top, bottom);
    for (std::size_t i = first; i < last; ++i) {
        const TurnLayout::Fragment& fragment = turn.layout.fragments()[i];
        const qint64 position = tokens[fragment.token].position;
        const QRectF rect = fragment.rect.translated(origin).adjusted(-1, 0, 1, 0);
        if (pieces_) {
            painter->setPen(Qt::NoPen);
            painter->setBrush(c.hover);
            painter->drawRoundedRect(rect, 4, 4);
        }
        if (position == pulse_position_ && pulse_timer_.isActive()) {
            QColor glow = c.accent;
            glow.setAlphaF(0.45F * std::max(0.F, 1.F - float(pulse_clock_.elapsed()) / float(pulse_ms)));
            painter->setPen(Qt::NoPen);
            painter->setBrush(glow);
            painter->drawRoundedRect(rect, 4, 4);
        }
        if (position == selection_->token()) {
            QColor fill = c.accent;
            fill.setAlphaF(c.dark ? 0.34F : 0.20F);
            painter->setPen(QPen(c.accent, 1.5));
            painter->setBrush(fill);
            painter->drawRoundedRect(rect.adjusted(0, 0.5, 0, -0.5), 4, 4);
        } else if (position == selection_->second()) {
            painter->setPen(QPen(c.accent, 1.5, Qt::DashLine));
            painter->setBrush(Qt::NoBrush);
            painter->drawRoundedRect(rect.adjusted(0, 0.5, 0, -0.5), 4, 4);
        } else if (position == selection_->hovered()) {
            painter->setPen(QPen(blend(c.line, c.text, 0.35), 1));
            painter->setBrush(pieces_ ? c.surface : c.hover);
            painter->drawRoundedRect(rect.adjusted(0, -0.5, 0, -1.5), 4, 4);
        }
    }
}

void Transcript::paintRibbon(QPainter* painter, const Turn& turn, int index, const QPointF& origin, qreal top,
                             qreal bottom) {
    const int router = ribbonRouter();
    if (router < 0) {
        return;
    }
    const ergo::RouterSite& site = data_->info()->routers[std::size_t(router)];
    const int observable = data_->observable(site.shares);
    if (observable < 0) {
        return;
    }
    const auto& tokens = document_->turns()[index].tokens;
    const int paths = int(site.paths.size());
    const auto [first, last] = turn.layout.between(top, bottom);
    painter->setPen(Qt::NoPen);
    painter->setRenderHint(QPainter::Antialiasing, false);
    for (std::size_t i = first; i < last; ++i) {
        const TurnLayout::Fragment& fragment = turn.layout.fragments()[i];
        const auto shares = data_->strip(observable, tokens[fragment.token].position);
        if (shares.empty()) {
            continue;
        }
        // Whole pixels, so that neighbours never blur into each other.
        const QRectF rect = fragment.rect.translated(origin);
        const qreal left = std::round(rect.left()), right = std::max(left + 1, std::round(rect.right()) - 1);
        qreal x = left, sum = 0;
        for (std::size_t p = 0; p < shares.size(); ++p) {
            sum += shares[p];
            const qreal end = std::round(left + (right - left) * std::min<qreal>(1, sum));
            if (end > x) {
                painter->fillRect(QRectF(x, rect.bottom() + 1, end - x, 4), routeColor(int(p), paths));
            }
            x = std::max(x, end);
        }
    }
    painter->setRenderHint(QPainter::Antialiasing);
}

void Transcript::paintFooter(QPainter* painter, const Turn& turn, int index, qreal x) {
    const TranscriptTurn& content = document_->turns()[index];
    const ThemeColors& c = colorsOf(palette());
    qreal y = turn.body + turn.layout.height() - verticalScrollBar()->value();
    if (!content.stats.isEmpty()) {
        painter->setFont(smallFont());
        painter->setPen(c.muted);
        painter->drawText(QRectF(x, y + 2, columnWidth(), 20), Qt::AlignVCenter,
                          fitting(content.stats, QFontMetricsF(smallFont()), columnWidth()));
        y += 22;
    }
    if (!content.note.isEmpty()) {
        painter->fillRect(QRectF(x, y + 4, 3, 20), c.caution);
        painter->setFont(interfaceFont());
        painter->setPen(c.text);
        painter->drawText(
            QRectF(x + 12, y + 4, columnWidth() - 12, 20), Qt::AlignVCenter,
            QFontMetricsF(interfaceFont()).elidedText(content.note, Qt::ElideRight, columnWidth() - 12));
    }
}

void Transcript::paintEmpty(QPainter* painter) {
    const ThemeColors& c = colorsOf(palette());
    const qreal width = std::min<qreal>(columnWidth(), 520);
    const qreal x = std::floor((viewport()->width() - width) / 2);
    const QFontMetricsF metrics(interfaceFont());
    const QRectF text_box = metrics.boundingRect(QRectF(0, 0, width, 1000), Qt::TextWordWrap, empty_text_);
    constexpr qreal button = 34, space = 8;
    const qreal height = 28 + text_box.height() + 20 + qreal(suggestions_.size()) * (button + space);
    qreal y = std::max<qreal>(margin, std::floor((viewport()->height() - height) / 2.4));
    painter->setFont(titleFont());
    painter->setPen(c.text);
    painter->drawText(QRectF(x, y, width, 22), Qt::AlignLeft | Qt::AlignVCenter, empty_title_);
    y += 28;
    painter->setFont(interfaceFont());
    painter->setPen(c.muted);
    painter->drawText(QRectF(x, y, width, text_box.height() + 4), Qt::TextWordWrap, empty_text_);
    y += text_box.height() + 20;
    for (int i = 0; i < suggestions_.size(); ++i) {
        const QRectF rect(x, y, width, button);
        painter->setPen(QPen(i == hovered_suggestion_ ? c.accent : c.line, 1));
        painter->setBrush(i == hovered_suggestion_ ? c.hover : c.surface);
        painter->drawRoundedRect(rect.adjusted(0.5, 0.5, -0.5, -0.5), 6, 6);
        painter->setPen(c.text);
        painter->drawText(rect.adjusted(12, 0, -12, 0), Qt::AlignVCenter,
                          metrics.elidedText(suggestions_[i], Qt::ElideRight, width - 24));
        suggestion_rects_.push_back(rect.toRect());
        y += button + space;
    }
}

} // namespace ergosphere
