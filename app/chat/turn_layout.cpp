// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/chat/turn_layout.h"

#include <QFontMetricsF>
#include <QPainter>
#include <QTextOption>

#include <algorithm>

namespace ergosphere {

namespace {

constexpr qreal line_break_width = 6; // a newline can be pointed at
constexpr qreal part_width = 2;       // and so can a token that is only a part of a character
constexpr qreal piece_padding = 3, piece_gap = 3;

// A token is shown as it is written: the font's ligatures would make one sign of "<|" or "->".
void drawPiece(QPainter* painter, const QRectF& rect, const QString& piece) {
    const auto sign = [](QChar c) { return c.unicode() < 128 && (c.isPunct() || c.isSymbol()); };
    bool ligatures = false;
    for (qsizetype i = 1; i < piece.size(); ++i) {
        ligatures |= sign(piece[i - 1]) && sign(piece[i]);
    }
    if (!ligatures) {
        painter->drawText(rect, Qt::AlignCenter, piece);
        return;
    }
    const QFontMetricsF metrics(painter->font());
    qreal x = rect.left() + piece_padding;
    for (const QChar c : piece) {
        painter->drawText(QRectF(x, rect.top(), rect.width(), rect.height()),
                          Qt::AlignLeft | Qt::AlignVCenter, c);
        x += metrics.horizontalAdvance(c);
    }
}

} // namespace

void TurnLayout::layout(const TranscriptTurn& turn, const Style& style) {
    style_ = style;
    paragraphs_.clear();
    fragments_.clear();
    pieces_.clear();
    marker_.clear();
    height_ = 0;
    extend(turn, 0);
}

void TurnLayout::extend(const TranscriptTurn& turn, int from) {
    if (style_.pieces) {
        extendPieces(turn, from);
    } else {
        extendText(turn, from);
    }
}

// ---- running text
// -------------------------------------------------------------------------------------------

void TurnLayout::extendText(const TranscriptTurn& turn, int from) {
    while (!paragraphs_.empty() && paragraphs_.back().first_token > from) {
        paragraphs_.pop_back();
    }
    int token = 0, start = 0;
    qreal top = 0;
    if (!paragraphs_.empty()) {
        token = paragraphs_.back().first_token;
        start = paragraphs_.back().first_char;
        top = paragraphs_.back().top;
        fragments_.resize(paragraphs_.back().first_fragment);
        paragraphs_.pop_back();
    } else {
        fragments_.clear();
    }
    const int count = int(turn.tokens.size());
    bool open = token < count;
    while (open) {
        Paragraph paragraph;
        paragraph.first_token = token;
        paragraph.first_char = start;
        paragraph.top = top;
        paragraph.first_fragment = fragments_.size();
        QString text;
        open = false;
        for (; token < count; ++token, start = 0) {
            const TranscriptToken& t = turn.tokens[token];
            if (t.marker) {
                continue;
            }
            const auto newline = int(t.text.indexOf('\n', start));
            const int end = newline < 0 ? int(t.text.size()) : newline;
            paragraph.spans.push_back({token, int(text.size()), end - start});
            text += QStringView(t.text).mid(start, end - start);
            if (newline >= 0) {
                start = newline + 1;
                open = true; // an empty line after a last newline is a line too
                break;
            }
        }
        if (open && start >= turn.tokens[token].text.size() && token + 1 < count) {
            ++token;
            start = 0;
        } else if (open && start >= turn.tokens[token].text.size()) {
            open = false; // nothing follows yet
        }
        paragraph.text = std::make_unique<QTextLayout>(text, style_.font);
        place(paragraph);
        top = paragraph.top + paragraph.height;
        paragraphs_.push_back(std::move(paragraph));
    }
    height_ = top;
}

void TurnLayout::place(Paragraph& paragraph) {
    QTextLayout& text = *paragraph.text;
    QTextOption option;
    option.setWrapMode(QTextOption::WrapAtWordBoundaryOrAnywhere);
    text.setTextOption(option);
    text.setCacheEnabled(true);
    text.beginLayout();
    qreal y = 0;
    for (QTextLine line = text.createLine(); line.isValid(); line = text.createLine()) {
        line.setLineWidth(style_.width);
        line.setPosition({0, y});
        y += line.height() + style_.ribbon;
    }
    text.endLayout();
    paragraph.height = y;
    std::size_t span = 0;
    for (int i = 0; i < text.lineCount(); ++i) {
        const QTextLine line = text.lineAt(i);
        const int begin = line.textStart(), end = begin + line.textLength();
        for (; span < paragraph.spans.size(); ++span) {
            const Span& s = paragraph.spans[span];
            const int from = std::max(s.start, begin), to = std::min(s.start + s.length, end);
            if (s.start > end || (s.start == end && s.length > 0)) {
                break;
            }
            if (from <= to && (from < to || s.length == 0)) {
                const qreal x0 = line.cursorToX(from), x1 = line.cursorToX(to);
                const qreal left = std::min(x0, x1);
                const qreal least = span + 1 == paragraph.spans.size() ? line_break_width : part_width;
                const qreal width = s.length == 0 ? least : std::max<qreal>(1, std::abs(x1 - x0));
                fragments_.push_back({s.token, QRectF(left, paragraph.top + line.y(), width, line.height())});
            }
            if (s.start + s.length > end) {
                break; // goes on in the next line
            }
        }
    }
}

// ---- token by token
// -----------------------------------------------------------------------------------------

void TurnLayout::extendPieces(const TranscriptTurn& turn, int from) {
    while (!fragments_.empty() && fragments_.back().token >= from) {
        fragments_.pop_back();
        pieces_.pop_back();
        marker_.pop_back();
    }
    const QFontMetricsF metrics(style_.font);
    const qreal line = metrics.height() + 4;
    qreal x = 0, y = 0;
    if (!fragments_.empty()) {
        x = fragments_.back().rect.right() + piece_gap;
        y = fragments_.back().rect.top();
        if (turn.tokens[fragments_.back().token].text.endsWith('\n')) {
            x = 0;
            y += line + style_.ribbon;
        }
    }
    for (int i = fragments_.empty() ? 0 : fragments_.back().token + 1; i < turn.tokens.size(); ++i) {
        const TranscriptToken& token = turn.tokens[i];
        const QString piece = token.piece.isEmpty() ? QString(QChar(0x2205)) : token.piece;
        const QString shown = metrics.elidedText(piece, Qt::ElideRight, style_.width - 2 * piece_padding);
        const qreal width = metrics.horizontalAdvance(shown) + 2 * piece_padding;
        if (x > 0 && x + width > style_.width) {
            x = 0;
            y += line + style_.ribbon;
        }
        fragments_.push_back({i, QRectF(x, y, width, line)});
        pieces_.push_back(shown);
        marker_.push_back(token.marker);
        x += width + piece_gap;
        if (token.text.endsWith('\n')) {
            x = 0;
            y += line + style_.ribbon;
        }
    }
    height_ = fragments_.empty() ? 0 : fragments_.back().rect.bottom() + style_.ribbon;
}

// ---- reading
// ------------------------------------------------------------------------------------------------

std::pair<std::size_t, std::size_t> TurnLayout::between(qreal top, qreal bottom) const {
    const auto above = [this](const Fragment& f, qreal y) { return f.rect.bottom() + style_.ribbon <= y; };
    const auto first = std::lower_bound(fragments_.begin(), fragments_.end(), top, above);
    const auto last = std::partition_point(first, fragments_.end(),
                                           [bottom](const Fragment& f) { return f.rect.top() < bottom; });
    return {static_cast<std::size_t>(first - fragments_.begin()),
            static_cast<std::size_t>(last - fragments_.begin())};
}

int TurnLayout::tokenAt(const QPointF& point) const {
    const auto [first, last] = between(point.y(), point.y() + 0.01);
    for (std::size_t i = first; i < last; ++i) {
        if (point.x() >= fragments_[i].rect.left() && point.x() < fragments_[i].rect.right()) {
            return fragments_[i].token;
        }
    }
    return -1;
}

QRectF TurnLayout::boundsOf(int token) const {
    const auto by_token = [](const Fragment& f, int t) { return f.token < t; };
    QRectF bounds;
    for (auto f = std::lower_bound(fragments_.begin(), fragments_.end(), token, by_token);
         f != fragments_.end() && f->token == token; ++f) {
        bounds |= f->rect;
    }
    return bounds;
}

void TurnLayout::paint(QPainter* painter, const QPointF& origin, qreal top, qreal bottom) const {
    if (style_.pieces) {
        painter->setFont(style_.font);
        const QColor plain = painter->pen().color();
        QColor faint = plain;
        faint.setAlphaF(0.55F);
        const auto [first, last] = between(top, bottom);
        for (std::size_t i = first; i < last; ++i) {
            painter->setPen(marker_[i] ? faint : plain);
            drawPiece(painter, fragments_[i].rect.translated(origin), pieces_[qsizetype(i)]);
        }
        painter->setPen(plain);
        return;
    }
    for (const Paragraph& paragraph : paragraphs_) {
        if (paragraph.top < bottom && paragraph.top + paragraph.height > top) {
            paragraph.text->draw(painter, origin + QPointF(0, paragraph.top), {},
                                 QRectF(origin.x(), origin.y() + top, style_.width, bottom - top));
        }
    }
}

} // namespace ergosphere
