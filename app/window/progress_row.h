// SPDX-License-Identifier: GPL-3.0-or-later
// One line for long work: what, how far, how long still, and Cancel. Shows itself when the work takes more
// than a moment. GUI thread.
#pragma once

#include <QElapsedTimer>
#include <QTimer>
#include <QWidget>

class QLabel;
class QProgressBar;
class QToolButton;

namespace ergosphere {

class ProgressRow : public QWidget {
    Q_OBJECT

  public:
    explicit ProgressRow(QWidget* parent = nullptr);
    /// `what` in the engine's words; `total` 0: nobody knows how far.
    void setProgress(const QString& what, double done, double total);
    void finish();
    /// Shows at once instead of after a moment.
    void begin(const QString& what);

  signals:
    void cancelRequested();

  private:
    QLabel* text_;
    QProgressBar* bar_;
    QToolButton* cancel_;
    QTimer patience_;
    QElapsedTimer clock_;
    bool running_ = false;
};

} // namespace ergosphere
