// SPDX-License-Identifier: GPL-3.0-or-later
// Where the shown model runs: a change that a person asks for, and one that a failing device forces.
#include "app/window/conversation_controller.h"

namespace ergosphere {

void ConversationController::useBackend(const QString& backend, const ergo::Diagnostics& diagnostics) {
    if (opened_) {
        seat_->worker->use_backend({backend.toStdString(), diagnostics});
    }
}

void ConversationController::timeOps(bool timed) {
    timed_ = timed;
    seat_->worker->time_ops(timed);
}

std::vector<ergo::OpTime> ConversationController::opTimes() const {
    return seat_->worker->op_times();
}

void ConversationController::handle(ergo::EventMoved& event) {
    emit progressEnded();
    opened_ = seat_->opened = event.model;
    if (!event.fallback) {
        seat_->options.backend = opened_->options.backend; // so that it counts as open with these options
        seat_->options.diagnostics = opened_->options.diagnostics;
    }
    data_->setMeasuredOn(QString::fromStdString(opened_->backend->info().name), 0,
                         LensData::precisionOf(*opened_));
    emit backendChanged(QString::fromStdString(event.why), event.fallback);
    emit modelsChanged();
}

} // namespace ergosphere
