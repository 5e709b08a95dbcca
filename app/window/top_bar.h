// SPDX-License-Identifier: GPL-3.0-or-later
// The line above everything: which model on what, how fast, how full the context is, what is going on. GUI
// thread.
#pragma once

#include "engine/generate/opened_model.h"

#include <QStringList>
#include <QToolButton>
#include <QWidget>

#include <memory>
#include <vector>

class QFrame;
class QLabel;
class QMenu;

namespace ergosphere {

class ProgressRow;

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
    /// All that are open: the chip lets one choose among them.
    void setOpenModels(std::vector<std::shared_ptr<const ergo::OpenedModel>> open);
    /// Says that the model is not as its file has it.
    void setChanges(const QStringList& changes);
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
    void backendRequested(QWidget* chip);
    void changesRequested();
    void modelChosen(const QString& source);
    void modelClosed(const QString& source);
    void cancelRequested();

  protected:
    void paintEvent(QPaintEvent* event) override;

  private:
    void showPopup();
    void addOtherModels(QFrame* popup);

    std::shared_ptr<const ergo::OpenedModel> opened_;
    std::vector<std::shared_ptr<const ergo::OpenedModel>> open_;
    QToolButton *model_, *backend_, *altered_;
    QLabel* speed_;
    ProgressRow* progress_;
    ContextMeter* meter_;
};

} // namespace ergosphere
