// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/chat/token_card.h"

#include "app/window/theme.h"

#include <QLocale>
#include <QPainter>

#include <algorithm>

namespace ergosphere {

namespace {

constexpr int padding = 12, width_px = 264, row = 18, bar_width = 96, shadow = 4;

} // namespace

TokenCard::TokenCard(QWidget* viewport) : QWidget(viewport) {
    setAttribute(Qt::WA_TransparentForMouseEvents);
    setFocusPolicy(Qt::NoFocus);
    hide();
}

QSize TokenCard::sizeFor() const {
    int height = 2 * padding + 22 + int(content_.facts.size()) * row;
    if (!content_.alternatives.isEmpty()) {
        height += 10 + row + int(content_.alternatives.size()) * row;
    }
    if (!content_.shares.isEmpty()) {
        height += 10 + row + int(content_.shares.size()) * row;
    }
    return {width_px + 2 * shadow, height + 2 * shadow};
}

void TokenCard::showBeside(const QRect& token, Content content) {
    content_ = std::move(content);
    const QSize size = sizeFor();
    const QRect room = parentWidget()->rect();
    int x = token.left() - shadow;
    int y = token.bottom() + 8;
    if (y + size.height() > room.bottom()) {
        y = token.top() - size.height() - 2;
    }
    x = std::clamp(x, room.left(), std::max(room.left(), room.right() - size.width()));
    y = std::clamp(y, room.top(), std::max(room.top(), room.bottom() - size.height()));
    setGeometry(QRect({x, y}, size));
    raise();
    show();
    update();
}

void TokenCard::paintEvent(QPaintEvent*) {
    const ThemeColors& c = colorsOf(palette());
    const QLocale locale;
    QPainter p(this);
    p.setRenderHint(QPainter::Antialiasing);
    const QRectF body = QRectF(rect()).adjusted(shadow, shadow, -shadow, -shadow);
    for (int i = shadow; i > 0; --i) { // the one soft shadow there is, for popovers
        p.setPen(Qt::NoPen);
        p.setBrush(QColor(0, 0, 0, c.dark ? 26 : 10));
        p.drawRoundedRect(body.adjusted(-i, -i + 1, i, i), 6 + i, 6 + i);
    }
    p.setPen(QPen(c.line, 1));
    p.setBrush(c.surface);
    p.drawRoundedRect(body.adjusted(0.5, 0.5, -0.5, -0.5), 6, 6);

    const QFont mono = monoFont(), mono_small = monoFont(11), small = smallFont();
    const int left = int(body.left()) + padding, right = int(body.right()) - padding;
    int y = int(body.top()) + padding;
    const auto line = [&](const QString& text, const QFont& font, const QColor& color, int height) {
        p.setFont(font);
        p.setPen(color);
        p.drawText(QRect(left, y, right - left, height), Qt::AlignVCenter | Qt::AlignLeft,
                   QFontMetrics(font).elidedText(text, Qt::ElideRight, right - left));
        y += height;
    };
    line(content_.piece, mono, c.text, 22);
    for (const QString& fact : content_.facts) {
        line(fact, small, c.muted, row);
    }
    const auto bars = [&](const QString& title, auto count, auto name, auto value, auto color, auto strong) {
        y += 10;
        line(title, small, c.muted, row);
        for (int i = 0; i < count; ++i) {
            p.setFont(mono_small);
            p.setPen(strong(i) ? c.text : c.muted);
            const int name_width = right - left - bar_width - 52;
            p.drawText(QRect(left, y, name_width, row), Qt::AlignVCenter,
                       QFontMetrics(mono_small).elidedText(name(i), Qt::ElideRight, name_width));
            const QRectF track(right - 48 - bar_width, y + 6, bar_width, 6);
            p.setPen(Qt::NoPen);
            p.setBrush(c.hover);
            p.drawRoundedRect(track, 3, 3);
            p.setBrush(color(i));
            if (value(i) > 0.0005) {
                p.drawRoundedRect(
                    QRectF(track.left(), track.top(), std::max(2.0, track.width() * value(i)), 6), 3, 3);
            }
            p.setPen(c.text);
            p.drawText(QRect(right - 44, y, 44, row), Qt::AlignVCenter | Qt::AlignRight,
                       locale.toString(value(i) * 100, 'f', value(i) >= 0.0995 ? 0 : 1) + " %");
            y += row;
        }
    };
    if (!content_.alternatives.isEmpty()) {
        const auto& a = content_.alternatives;
        bars(
            tr("What could stand here"), int(a.size()), [&](int i) { return a[i].piece; },
            [&](int i) { return a[i].probability; },
            [&](int i) { return a[i].chosen ? c.accent : blend(c.muted, c.surface, 0.4); },
            [&](int i) { return a[i].chosen; });
    }
    if (!content_.shares.isEmpty()) {
        const auto& s = content_.shares;
        bars(
            content_.shares_title, int(s.size()), [&](int i) { return s[i].path; },
            [&](int i) { return s[i].share; }, [&](int i) { return s[i].color; }, [&](int) { return true; });
    }
}

} // namespace ergosphere
