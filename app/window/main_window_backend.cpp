// SPDX-License-Identifier: GPL-3.0-or-later
// The window's side of backends: the chip's popup, the banner of a device that failed, the diagnostics page.
#include "app/chat/chat_panel.h"
#include "app/window/backend_popup.h"
#include "app/window/developer_dialog.h"
#include "app/window/main_window.h"
#include "app/window/message_bar.h"
#include "app/window/top_bar.h"

namespace ergosphere {

void MainWindow::connectBackend() {
    connect(top_, &TopBar::backendRequested, this, [this](QWidget* chip) {
        if (!controller_->opened()) {
            return;
        }
        auto* popup = new BackendPopup(controller_->opened(), this);
        connect(popup, &BackendPopup::chosen, this, [this](const QString& backend) {
            controller_->useBackend(backend, controller_->opened()->options.diagnostics);
        });
        connect(popup, &BackendPopup::developerRequested, this, &MainWindow::showDeveloper);
        popup->showBelow(chip);
    });
    connect(controller_, &ConversationController::backendChanged, this,
            [this](const QString& why, bool fallback) {
                top_->setModel(controller_->opened());
                if (fallback) {
                    chat_->messages()->showError(
                        tr("The graphics device failed; the CPU goes on from the same token.") + "\n" + why);
                } else {
                    chat_->messages()->showNotice(
                        tr("The model now runs on %1.")
                            .arg(QString::fromStdString(ergo::device_text(*controller_->opened()))));
                }
            });
}

void MainWindow::showDeveloper() {
    if (auto* there = findChild<DeveloperDialog*>()) {
        there->raise();
        return;
    }
    (new DeveloperDialog(controller_, validation_log_, this))->show();
}

} // namespace ergosphere
