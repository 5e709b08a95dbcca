// SPDX-License-Identifier: GPL-3.0-or-later
// The tensors of a checkpoint with a filter; numbers and histograms of those that are looked at, measured in
// the background. GUI thread.
#pragma once

#include "app/library/tensor_model.h"

#include <QWidget>

#include <deque>
#include <mutex>
#include <set>

class QLabel;
class QLineEdit;
class QPushButton;
class QTreeView;

namespace ergosphere {

class BackgroundJob;
class ProgressRow;

/// Bars of one tensor's values, with the numbers in words for screen readers.
class HistogramView : public QWidget {
    Q_OBJECT

  public:
    explicit HistogramView(QWidget* parent = nullptr);
    void setStats(const QString& name, const ergo::TensorStats* stats);
    QSize sizeHint() const override { return {240, 72}; }

  protected:
    void paintEvent(QPaintEvent* event) override;

  private:
    std::optional<ergo::TensorStats> stats_;
};

class TensorPanel : public QWidget {
    Q_OBJECT

  public:
    explicit TensorPanel(std::shared_ptr<const TensorOutline> outline, QWidget* parent = nullptr);
    ~TensorPanel() override; ///< cancels what is being measured

    TensorModel* model() const { return model_; }
    QTreeView* view() const { return view_; }
    /// Measures these, those asked for first coming first; what is known already is not measured again.
    void measure(const std::vector<int>& tensors, bool first);

  signals:
    void measured(int tensor);

  private:
    /// What the measuring thread and the GUI thread share.
    struct Work {
        std::mutex mutex;
        std::deque<int> waiting;
        std::set<int> queued; ///< those that are waiting
        std::vector<std::pair<int, ergo::TensorStats>> ready;
        std::size_t asked = 0, done = 0; ///< of this round
    };
    void filter();
    void filtered();
    void select();
    void takeReady();
    void start();
    void finished(const QString& problem);

    std::shared_ptr<const TensorOutline> outline_;
    std::shared_ptr<Work> work_;
    TensorModel* model_;
    QTreeView* view_;
    QLineEdit* filter_;
    QLabel *count_, *facts_, *problem_;
    QPushButton* all_;
    HistogramView* histogram_;
    ProgressRow* progress_;
    BackgroundJob* job_ = nullptr;
    BackgroundJob* selecting_ = nullptr; ///< what a filter lets through, of a large outline
    bool select_again_ = false;          ///< the filter was changed meanwhile
};

} // namespace ergosphere
