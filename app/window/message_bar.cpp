// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/message_bar.h"

#include "app/window/theme.h"

#include <QAccessible>
#include <QApplication>
#include <QClipboard>
#include <QHBoxLayout>
#include <QLabel>
#include <QPainter>
#include <QPlainTextEdit>
#include <QToolButton>
#include <QVBoxLayout>

namespace ergosphere {

namespace {

constexpr int notice_ms = 8000;
constexpr qsizetype short_text = 220;

QToolButton* button(const QString& text, QWidget* parent) {
    auto* b = new QToolButton(parent);
    b->setText(text);
    b->setAutoRaise(true);
    return b;
}

} // namespace

MessageBar::MessageBar(QWidget* parent) : QWidget(parent) {
    setObjectName("message_bar");
    line_ = new QLabel(this);
    line_->setWordWrap(true);
    line_->setTextFormat(Qt::PlainText);
    line_->setTextInteractionFlags(Qt::TextSelectableByMouse);
    action_ = button({}, this);
    copy_ = button(tr("Copy"), this);
    more_ = button(tr("Details"), this);
    more_->setCheckable(true);
    close_ = button(QString(QChar(0x2715)), this);
    close_->setAccessibleName(tr("Close"));
    close_->setToolTip(tr("Close"));
    details_ = new QPlainTextEdit(this);
    details_->setReadOnly(true);
    details_->setFont(monoFont(11));
    details_->setMaximumHeight(160);
    details_->hide();

    auto* row = new QHBoxLayout;
    row->setSpacing(4);
    row->addWidget(line_, 1);
    for (QToolButton* b : {action_, copy_, more_, close_}) {
        row->addWidget(b, 0, Qt::AlignTop);
    }
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(14, 6, 6, 6);
    column->addLayout(row);
    column->addWidget(details_);

    connect(close_, &QToolButton::clicked, this, &MessageBar::dismiss);
    connect(copy_, &QToolButton::clicked, this, [this] { QApplication::clipboard()->setText(text_); });
    connect(more_, &QToolButton::toggled, details_, &QWidget::setVisible);
    connect(action_, &QToolButton::clicked, this, [this] {
        const auto act = std::exchange(act_, {});
        dismiss();
        if (act) {
            act();
        }
    });
    timer_.setSingleShot(true);
    connect(&timer_, &QTimer::timeout, this, &MessageBar::dismiss);
    hide();
}

void MessageBar::showText(const QString& text, bool error) {
    text_ = text;
    error_ = error;
    const QString first = text.section('\n', 0, 0);
    line_->setText(first.size() > short_text ? first.left(short_text - 1) + QChar(0x2026) : first);
    details_->setPlainText(text);
    more_->setChecked(false);
    more_->setVisible(error && text.trimmed() != line_->text());
    copy_->setVisible(error);
    show();
    update();
    if (QAccessible::isActive()) {
        QAccessibleEvent alert(this, QAccessible::Alert);
        QAccessible::updateAccessibility(&alert);
    }
    setAccessibleName(line_->text());
}

void MessageBar::showError(const QString& text) {
    timer_.stop();
    act_ = {};
    action_->hide();
    showText(text, true);
}

void MessageBar::showNotice(const QString& text, const QString& action, std::function<void()> act) {
    act_ = std::move(act);
    action_->setText(action);
    action_->setVisible(!action.isEmpty());
    showText(text, false);
    timer_.start(notice_ms);
}

void MessageBar::dismiss() {
    timer_.stop();
    text_.clear();
    hide();
}

void MessageBar::paintEvent(QPaintEvent*) {
    const ThemeColors& c = colorsOf(palette());
    const QColor mark = error_ ? c.danger : c.accent;
    QPainter p(this);
    p.setRenderHint(QPainter::Antialiasing);
    p.setPen(QPen(blend(c.line, mark, 0.35), 1));
    p.setBrush(blend(c.surface, mark, 0.06));
    p.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 6, 6);
    p.fillRect(QRectF(1, 6, 3, height() - 12), mark);
}

} // namespace ergosphere
