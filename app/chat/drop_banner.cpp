// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/chat/drop_banner.h"

#include "app/window/theme.h"

#include <QAccessible>
#include <QHBoxLayout>
#include <QKeyEvent>
#include <QLabel>
#include <QLocale>
#include <QPainter>
#include <QPushButton>
#include <QVBoxLayout>

namespace ergosphere {

namespace {

constexpr qsizetype most_lines = 4;

} // namespace

DropBanner::DropBanner(QWidget* parent) : QWidget(parent) {
    setObjectName("drop_banner");
    line_ = new QLabel(this);
    messages_ = new QLabel(this);
    messages_->setForegroundRole(QPalette::PlaceholderText);
    for (QLabel* label : {line_, messages_}) {
        label->setWordWrap(true);
        label->setTextFormat(Qt::PlainText); // what people and models wrote
    }
    accept_ = new QPushButton(tr("Leave them out"), this);
    accept_->setObjectName("leave_out");
    accept_->setAutoDefault(true);
    accept_->setToolTip(tr("They stay in the conversation, only the model is no longer given them (Enter)"));
    decline_ = new QPushButton(tr("Keep everything"), this);
    decline_->setObjectName("keep_everything");
    decline_->setAutoDefault(true);
    decline_->setToolTip(tr("Nothing is sent (Esc)"));

    auto* row = new QHBoxLayout;
    row->addStretch();
    row->addWidget(decline_);
    row->addWidget(accept_);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(14, 8, 8, 8);
    column->setSpacing(6);
    column->addWidget(line_);
    column->addWidget(messages_);
    column->addLayout(row);
    connect(accept_, &QPushButton::clicked, this, [this] {
        hide();
        emit accepted(offer_);
    });
    connect(decline_, &QPushButton::clicked, this, [this] {
        hide();
        emit declined();
    });
    hide();
}

void DropBanner::offer(const DropOffer& offer) {
    offer_ = offer;
    const QLocale locale;
    line_->setText(
        tr("The context is full: the conversation is %1 tokens long and the model holds %2, a reply "
           "included. Without the oldest %3 messages it is %4, which frees %5.")
            .arg(locale.toString(offer.before))
            .arg(locale.toString(offer.context))
            .arg(offer.messages.size())
            .arg(locale.toString(offer.after))
            .arg(locale.toString(offer.before - offer.after)));
    QStringList lines = offer.texts.mid(0, most_lines);
    if (offer.texts.size() > most_lines) {
        lines << tr("… and %1 more").arg(offer.texts.size() - most_lines);
    }
    messages_->setText(lines.join('\n'));
    setAccessibleName(line_->text());
    setAccessibleDescription(offer.texts.join('\n'));
    accept_->setAccessibleDescription(line_->text());
    show();
    accept_->setFocus(Qt::OtherFocusReason);
    if (QAccessible::isActive()) {
        QAccessibleEvent alert(this, QAccessible::Alert);
        QAccessible::updateAccessibility(&alert);
    }
}

QString DropBanner::text() const {
    return line_->text() + '\n' + messages_->text();
}

void DropBanner::keyPressEvent(QKeyEvent* event) {
    switch (event->key()) {
    case Qt::Key_Return:
    case Qt::Key_Enter:
        (decline_->hasFocus() ? decline_ : accept_)->click();
        return;
    case Qt::Key_Escape:
        decline_->click();
        return;
    default:
        QWidget::keyPressEvent(event);
    }
}

void DropBanner::paintEvent(QPaintEvent*) {
    const ThemeColors& c = colorsOf(palette());
    QPainter p(this);
    p.setRenderHint(QPainter::Antialiasing);
    p.setPen(QPen(blend(c.line, c.caution, 0.35), 1));
    p.setBrush(blend(c.surface, c.caution, 0.06));
    p.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6);
    p.fillRect(QRectF(1, 6, 3, height() - 12), c.caution);
}

} // namespace ergosphere
