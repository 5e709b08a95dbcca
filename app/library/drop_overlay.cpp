// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/library/drop_overlay.h"

#include "app/window/theme.h"

#include <QPainter>

namespace ergosphere {

DropOverlay::DropOverlay(QWidget* parent) : QWidget(parent) {
    setObjectName("drop_overlay");
    setAttribute(Qt::WA_TransparentForMouseEvents);
    hide();
}

void DropOverlay::cover(const QString& action, const QString& what) {
    action_ = action;
    what_ = what;
    setAccessibleName(action);
    setAccessibleDescription(what);
    setGeometry(parentWidget()->rect());
    raise();
    show();
}

void DropOverlay::paintEvent(QPaintEvent*) {
    const ThemeColors& c = colorsOf(palette());
    QPainter p(this);
    p.setRenderHint(QPainter::Antialiasing);
    QColor veil = c.window;
    veil.setAlphaF(0.96F); // what lies below is not read through it, nor cut by the frame
    p.fillRect(rect(), veil);
    p.setPen(QPen(c.accent, 2, Qt::DashLine));
    p.drawRoundedRect(QRectF(rect()).adjusted(12, 12, -12, -12), 12, 12);
    p.setPen(c.text);
    p.setFont(titleFont());
    p.drawText(rect().adjusted(48, 0, -48, -24), Qt::AlignCenter,
               QFontMetrics(titleFont()).elidedText(action_, Qt::ElideMiddle, width() - 120));
    p.setPen(c.muted);
    p.setFont(interfaceFont());
    p.drawText(rect().adjusted(48, 32, -48, 0), Qt::AlignCenter,
               QFontMetrics(interfaceFont()).elidedText(what_, Qt::ElideMiddle, width() - 120));
}

} // namespace ergosphere
