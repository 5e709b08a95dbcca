// SPDX-License-Identifier: GPL-3.0-or-later
// Chooses what a model's weights are run as and its keys and values kept in, and measures what that costs
// when asked to, on another thread. GUI thread.
#pragma once

#include "app/library/run_types.h"
#include "engine/generate/opened_model.h"

#include <QPointer>
#include <QWidget>

class QComboBox;
class QLabel;
class QPushButton;

namespace ergosphere {

class BackgroundJob;
class ProgressRow;

class RunTypesPanel : public QWidget {
    Q_OBJECT

  public:
    /// `options`: how `source` is opened as it is stored. Names that are not known count as not chosen.
    RunTypesPanel(QString source, ergo::OpenModelOptions options, const RunTypes& chosen,
                  QWidget* parent = nullptr);
    ~RunTypesPanel() override; ///< cancels what is being measured
    RunTypes types() const;

  signals:
    void changed();
    void measured(); ///< the cost is shown, or why there is none

  private:
    QComboBox* addChoice(const char* name, const QString& label, const QString& tip);
    void measure();
    void stop();
    void tell(const QString& text);

    QString source_;
    ergo::OpenModelOptions options_;
    QComboBox *weights_ = nullptr, *cache_ = nullptr;
    QPushButton* measure_ = nullptr;
    QLabel* cost_ = nullptr;
    ProgressRow* progress_ = nullptr;
    QPointer<BackgroundJob> job_; ///< of the application: it may take a moment to end after the panel
};

/// "mean KL 0.00012 nats from the original, logits differ by up to 0.04 (over 310 tokens)"
QString roundingCostText(double divergence, double logit_difference, qint64 tokens);

} // namespace ergosphere
