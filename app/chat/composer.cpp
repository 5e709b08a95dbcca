// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/chat/composer.h"

#include "app/window/theme.h"

#include <QHBoxLayout>
#include <QKeyEvent>
#include <QMimeData>
#include <QPainter>
#include <QPushButton>
#include <QScrollBar>
#include <QTextBlock>
#include <QToolButton>
#include <QVBoxLayout>

#include <algorithm>

namespace ergosphere {

namespace {

constexpr int most_lines = 8;

} // namespace

// ---- the field
// ----------------------------------------------------------------------------------------------

ComposerField::ComposerField(QWidget* parent) : QPlainTextEdit(parent) {
    setObjectName("composer");
    setAccessibleName(tr("Message"));
    setFrameShape(QFrame::NoFrame);
    setTabChangesFocus(true);
    setVerticalScrollBarPolicy(Qt::ScrollBarAsNeeded);
    setHorizontalScrollBarPolicy(Qt::ScrollBarAlwaysOff);
    document()->setDocumentMargin(2);
    connect(this, &QPlainTextEdit::textChanged, this, &ComposerField::fit);
    fit();
}

void ComposerField::fit() {
    int lines = 0; // as wrapped
    for (QTextBlock block = document()->begin(); block.isValid() && lines < most_lines;
         block = block.next()) {
        lines += std::max(1, block.lineCount());
    }
    lines = std::clamp(lines, 1, most_lines);
    const int height = lines * fontMetrics().lineSpacing() + 8;
    if (height != minimumHeight()) {
        setFixedHeight(height);
    }
}

void ComposerField::resizeEvent(QResizeEvent* event) {
    QPlainTextEdit::resizeEvent(event);
    fit();
}

void ComposerField::keyPressEvent(QKeyEvent* event) {
    const bool enter = event->key() == Qt::Key_Return || event->key() == Qt::Key_Enter;
    if (enter && !(event->modifiers() & (Qt::ShiftModifier | Qt::AltModifier))) {
        emit submitted();
        return;
    }
    if (event->key() == Qt::Key_Escape) {
        emit escaped();
        return;
    }
    QPlainTextEdit::keyPressEvent(event);
}

bool ComposerField::canInsertFromMimeData(const QMimeData* source) const {
    return !source->hasUrls() && QPlainTextEdit::canInsertFromMimeData(source); // files go to the window
}

void ComposerField::insertFromMimeData(const QMimeData* source) {
    if (source->hasText()) {
        insertPlainText(source->text());
    }
}

// ---- the composer
// -------------------------------------------------------------------------------------------

Composer::Composer(QWidget* parent) : QWidget(parent) {
    field_ = new ComposerField(this);
    field_->setFont(interfaceFont());
    setFocusProxy(field_);

    send_ = new QPushButton(tr("Send"), this);
    send_->setObjectName("send");
    send_->setDefault(true);
    send_->setAutoDefault(true);
    send_->setToolTip(tr("Send the message (Enter)"));
    stop_ = new QPushButton(tr("Stop"), this);
    stop_->setObjectName("stop");
    stop_->setToolTip(tr("Stop writing (Esc)"));
    stop_->hide();
    regenerate_ = new QToolButton(this);
    regenerate_->setObjectName("regenerate");
    regenerate_->setText(tr("Regenerate"));
    regenerate_->setToolTip(tr("Write the last reply again (Ctrl+R)"));
    regenerate_->setAutoRaise(true);
    sampling_ = new QToolButton(this);
    sampling_->setObjectName("sampling");
    sampling_->setCheckable(true);
    sampling_->setAutoRaise(true);
    sampling_->setText(tr("Sampling"));
    sampling_->setToolTip(tr("How the next token is chosen, and the system prompt"));
    changes_ = new QToolButton(this);
    changes_->setObjectName("interventions");
    changes_->setCheckable(true);
    changes_->setAutoRaise(true);
    changes_->setToolTip(tr("Change the model: temperatures, radii, masses, masks, knobs (Ctrl+I)"));

    auto* row = new QHBoxLayout;
    row->setSpacing(4);
    row->addWidget(sampling_);
    row->addWidget(changes_);
    row->addWidget(regenerate_);
    row->addStretch();
    row->addWidget(stop_);
    row->addWidget(send_);
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(12, 10, 8, 8);
    column->setSpacing(6);
    column->addWidget(field_);
    column->addLayout(row);

    connect(field_, &ComposerField::submitted, this, &Composer::submit);
    connect(field_, &ComposerField::escaped, this, [this] {
        if (state_ == State::writing) {
            emit stopRequested();
        }
    });
    connect(field_, &QPlainTextEdit::textChanged, this, &Composer::updateButtons);
    connect(send_, &QPushButton::clicked, this, &Composer::submit);
    connect(stop_, &QPushButton::clicked, this, &Composer::stopRequested);
    connect(regenerate_, &QToolButton::clicked, this, &Composer::regenerateRequested);
    connect(sampling_, &QToolButton::toggled, this, &Composer::samplingToggled);
    connect(changes_, &QToolButton::toggled, this, &Composer::changesToggled);
    setChangeCount(0);
    setState(State::unavailable, tr("Open a model to begin"));
}

void Composer::setState(State state, const QString& reason) {
    state_ = state;
    field_->setPlaceholderText(state == State::unavailable ? reason
                               : state == State::writing   ? tr("The model is writing…")
                                                           : tr("Write to the model, Enter sends"));
    // Qt 6.4 repaints a placeholder only when it appears or goes, not when its text changes.
    field_->viewport()->update();
    updateButtons();
}

void Composer::setCanRegenerate(bool can) {
    can_regenerate_ = can;
    updateButtons();
}

void Composer::setSamplingSummary(const QString& text) {
    sampling_->setText(text);
}

void Composer::setChangeCount(int count) {
    changes_->setText(count == 0 ? tr("Interventions") : tr("Interventions: %1").arg(count));
}

void Composer::showChanges(bool shown) {
    changes_->setChecked(shown);
}

void Composer::showSampling(bool shown) {
    sampling_->setChecked(shown);
}

void Composer::setText(const QString& text) {
    field_->setPlainText(text);
    field_->moveCursor(QTextCursor::End);
}

void Composer::submit() {
    const QString text = field_->toPlainText();
    if (state_ == State::ready && !text.trimmed().isEmpty()) {
        field_->clear();
        emit sendRequested(text);
    }
}

void Composer::updateButtons() {
    const bool writing = state_ == State::writing;
    send_->setVisible(!writing);
    stop_->setVisible(writing);
    send_->setEnabled(state_ == State::ready && !field_->toPlainText().trimmed().isEmpty());
    regenerate_->setEnabled(state_ == State::ready && can_regenerate_);
}

void Composer::paintEvent(QPaintEvent*) {
    QPainter painter(this);
    painter.setRenderHint(QPainter::Antialiasing);
    painter.setPen(QPen(palette().color(field_->hasFocus() ? QPalette::Highlight : QPalette::Mid), 1));
    painter.setBrush(palette().color(QPalette::Base));
    painter.drawRoundedRect(QRectF(rect()).adjusted(0.5, 0.5, -0.5, -0.5), 8, 8);
}

} // namespace ergosphere
