// SPDX-License-Identifier: GPL-3.0-or-later
// Above the composer when the context is full: which messages could be left out and what that frees. GUI
// thread.
#pragma once

#include "app/chat/prompt.h"

#include <QWidget>

class QLabel;
class QPushButton;

namespace ergosphere {

class DropBanner : public QWidget {
    Q_OBJECT

  public:
    explicit DropBanner(QWidget* parent = nullptr);

    /// Shows itself and takes the keyboard: Enter accepts, Esc declines.
    void offer(const DropOffer& offer);
    const DropOffer& offered() const { return offer_; }
    QString text() const;

  signals:
    void accepted(const ergosphere::DropOffer& offer);
    void declined();

  protected:
    void paintEvent(QPaintEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

  private:
    DropOffer offer_;
    QLabel *line_, *messages_;
    QPushButton *accept_, *decline_;
};

} // namespace ergosphere
