// SPDX-License-Identifier: GPL-3.0-or-later
// The line above everything: which model on what, how fast, how full the context is, what is going on. GUI
// thread.
#pragma once

#include "engine/generate/opened_model.h"

#include <QTimer>
#include <QToolButton>
#include <QWidget>

#include <memory>

class QLabel;
class QMenu;
class QProgressBar;

namespace ergosphere {

/// A bar with how many of the context's tokens are taken.
class ContextMeter : public QWidget {
    Q_OBJECT

  public:
    explicit ContextMeter(QWidget* parent = nullptr);
    void setUse(qint64 used, qint64 size);
    QString text() const;
    QSize sizeHint() const override;
    QSize minimumSizeHint() const override { return sizeHint(); }

  protected:
    void paintEvent(QPaintEvent* event) override;

  private:
    qint64 used_ = 0, size_ = 0;
};

class TopBar : public QWidget {
    Q_OBJECT

  public:
    explicit TopBar(QWidget* parent = nullptr);

    /// Null: no model.
    void setModel(std::shared_ptr<const ergo::OpenedModel> opened);
    void setSpeed(double tokens_per_second, bool live);
    void setContext(qint64 used, qint64 size);
    /// Something long is going on; shown only when it takes more than a moment.
    void setProgress(const QString& what, double done, double total);
    void endProgress();
    const ContextMeter* meter() const { return meter_; }
    QString speedText() const;

  signals:
    void openRequested();
    void cardRequested();
    void cancelRequested();

  protected:
    void paintEvent(QPaintEvent* event) override;

  private:
    void showPopup();

    std::shared_ptr<const ergo::OpenedModel> opened_;
    QToolButton *model_, *backend_, *cancel_;
    QLabel *speed_, *progress_text_;
    QProgressBar* progress_;
    QWidget* progress_box_;
    ContextMeter* meter_;
    QTimer progress_timer_;
};

} // namespace ergosphere
