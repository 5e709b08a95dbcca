// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/progress_row.h"

#include "app/window/engine_text.h"

#include <QHBoxLayout>
#include <QLabel>
#include <QProgressBar>
#include <QToolButton>

#include <algorithm>

namespace ergosphere {

namespace {

constexpr int patience_ms = 250;        // before a bar is worth showing
constexpr qint64 estimate_after = 2000; // ms; earlier guesses of what is left are noise

} // namespace

ProgressRow::ProgressRow(QWidget* parent) : QWidget(parent) {
    setObjectName("progress_row");
    text_ = new QLabel(this);
    text_->setForegroundRole(QPalette::PlaceholderText);
    bar_ = new QProgressBar(this);
    bar_->setTextVisible(false);
    bar_->setFixedSize(120, 6);
    bar_->setRange(0, 1000);
    bar_->setAccessibleName(tr("Progress"));
    cancel_ = new QToolButton(this);
    cancel_->setObjectName("cancel_progress");
    cancel_->setText(tr("Cancel"));
    cancel_->setAccessibleName(tr("Cancel"));
    cancel_->setAutoRaise(true);
    cancel_->setFocusPolicy(Qt::StrongFocus);
    auto* row = new QHBoxLayout(this);
    row->setContentsMargins(0, 0, 0, 0);
    row->addWidget(text_, 1);
    row->addWidget(bar_);
    row->addWidget(cancel_);
    connect(cancel_, &QToolButton::clicked, this, &ProgressRow::cancelRequested);
    patience_.setSingleShot(true);
    patience_.setInterval(patience_ms);
    connect(&patience_, &QTimer::timeout, this, &QWidget::show);
    hide();
}

void ProgressRow::setProgress(const QString& what, double done, double total) {
    if (!std::exchange(running_, true)) {
        clock_.start();
        patience_.start();
    }
    const double share = total > 0 ? std::clamp(done / total, 0.0, 1.0) : 0;
    QString text = engineText(what);
    if (const qint64 ms = clock_.elapsed(); share > 0.02 && ms > estimate_after) {
        const auto left = qint64(double(ms) * (1 - share) / share / 1000);
        if (left >= 60) {
            text += tr(", %1 min left").arg((left + 30) / 60);
        } else if (left > 0) {
            text += tr(", %1 s left").arg(left);
        }
    }
    text_->setText(text);
    bar_->setRange(0, total > 0 ? 1000 : 0);
    if (total > 0) {
        bar_->setValue(int(1000 * share));
    }
}

void ProgressRow::begin(const QString& what) {
    running_ = false;
    setProgress(what, 0, 0);
    patience_.stop();
    show();
}

void ProgressRow::finish() {
    running_ = false;
    patience_.stop();
    hide();
}

} // namespace ergosphere
