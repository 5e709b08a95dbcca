// SPDX-License-Identifier: GPL-3.0-or-later
// Diagnostics of the backend: switches that help to find a device's or driver's fault, what its validation
// layer says, and how long every op of a token takes. GUI thread.
#pragma once

#include "engine/generate/worker.h"

#include <QDialog>
#include <QPointer>
#include <QStringList>
#include <QTimer>

#include <memory>
#include <mutex>

class QCheckBox;
class QLabel;
class QPlainTextEdit;
class QTableWidget;

namespace ergosphere {

class ConversationController;

/// What the validation layer has said. Any thread.
class ValidationLog {
  public:
    void add(const QString& message);
    QStringList messages() const;

  private:
    mutable std::mutex mutex_;
    QStringList messages_;
};

class DeveloperDialog : public QDialog {
    Q_OBJECT

  public:
    DeveloperDialog(ConversationController* controller, std::shared_ptr<ValidationLog> log, QWidget* parent);
    ~DeveloperDialog() override;

  private:
    QCheckBox* addSwitch(const QString& name, const QString& text, const QString& tip);
    void apply();
    void showModel();
    void showMatrices();
    void refresh();

    QPointer<ConversationController> controller_; ///< the window may let go of it first
    std::shared_ptr<ValidationLog> log_;
    QLabel *device_, *hint_;
    QCheckBox *serialise_, *no_fusion_, *no_extensions_, *no_matrices_, *validation_;
    QTableWidget* table_;
    QPlainTextEdit* messages_;
    QTimer timer_;
};

} // namespace ergosphere
