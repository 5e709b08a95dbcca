// SPDX-License-Identifier: GPL-3.0-or-later
// What runs the model and what else could: device, driver, memory, why, and a switch. Looks for devices on
// another thread. GUI thread.
#pragma once

#include "engine/generate/opened_model.h"

#include <QFrame>

#include <memory>
#include <vector>

class QButtonGroup;
class QLabel;
class QVBoxLayout;

namespace ergosphere {

class BackendPopup : public QFrame {
    Q_OBJECT

  public:
    /// Deletes itself when it is closed.
    BackendPopup(std::shared_ptr<const ergo::OpenedModel> opened, QWidget* parent);
    /// Below `anchor`.
    void showBelow(QWidget* anchor);

  signals:
    void chosen(const QString& backend); ///< "auto", "cpu", "vulkan:0"
    void developerRequested();

  private:
    void addFacts(QVBoxLayout* column);
    void addChoices(const std::vector<ergo::DeviceInfo>& devices);
    void addChoice(const QString& backend, const QString& text, const QString& tip, bool enabled);

    std::shared_ptr<const ergo::OpenedModel> opened_;
    QVBoxLayout* choices_ = nullptr;
    QButtonGroup* group_ = nullptr;
    QLabel* searching_ = nullptr;
};

/// "discrete GPU" in the window's language.
QString deviceKindText(ergo::DeviceKind kind);
/// Why this backend, in the window's language; what a driver said stays as it is.
QString choiceText(const ergo::BackendChoice& choice);

} // namespace ergosphere
