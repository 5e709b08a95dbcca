// SPDX-License-Identifier: GPL-3.0-or-later
// What is open: one seat a model, each with its worker and its conversation.
#include "app/window/conversation_controller.h"
#include "engine/base/error.h"

#include <QCoreApplication>
#include <QMetaObject>
#include <QPointer>
#include <QThreadPool>

#include <algorithm>

namespace ergosphere {

namespace {

bool sameOptions(const ergo::OpenModelOptions& a, const ergo::OpenModelOptions& b) {
    return a.backend == b.backend && a.threads == b.threads && a.pin == b.pin && a.context == b.context &&
           a.model.allow_unused == b.model.allow_unused && a.model.dtype == b.model.dtype &&
           a.model.cache == b.model.cache && a.model.knobs == b.model.knobs &&
           a.model.interventions == b.model.interventions && a.attachments == b.attachments &&
           a.diagnostics == b.diagnostics;
}

} // namespace

std::unique_ptr<ConversationController::Seat>
ConversationController::makeSeat(const QString& source, const ergo::OpenModelOptions& options) {
    auto seat = std::make_unique<Seat>();
    seat->source = source;
    seat->options = options;
    // A seat that is let go of may outlive the controller; the application waits for it.
    seat->worker = std::make_unique<ergo::Worker>([self = QPointer(this)] {
        QMetaObject::invokeMethod(
            qApp,
            [self] {
                if (self) {
                    self->wake();
                }
            },
            Qt::QueuedConnection);
    });
    return seat;
}

ConversationController::Seat* ConversationController::seatOf(const QString& source) const {
    for (const auto& seat : seats_) {
        if (seat->opened && seat->source == source) {
            return seat.get();
        }
    }
    return nullptr;
}

std::vector<std::shared_ptr<const ergo::OpenedModel>> ConversationController::openModels() const {
    std::vector<std::shared_ptr<const ergo::OpenedModel>> open;
    for (const auto& seat : seats_) {
        if (seat->opened) {
            open.push_back(seat->opened);
        }
    }
    return open;
}

bool ConversationController::isOpen(const QString& source) const {
    return seatOf(source) != nullptr;
}

void ConversationController::openModel(const QString& source, const ergo::OpenModelOptions& options) {
    abandon();
    if (Seat* seat = seatOf(source); seat && sameOptions(seat->options, options)) {
        cancelOpening();
        show(seat);
        return;
    }
    cancelOpening();
    opening_ = makeSeat(source, options);
    opening_->worker->open(source.toStdString(), options);
    if (opened_ && seat_->source == source && !conversation_.messages.isEmpty()) {
        resume_after_open_ = conversation_; // the same model in another way goes on with it
    }
    setState(State::opening);
}

void ConversationController::cancelOpening() {
    if (opening_) {
        retire(std::move(opening_));
    }
    resume_after_open_.reset();
    changes_after_open_.clear();
}

void ConversationController::showModel(const QString& source) {
    if (Seat* seat = seatOf(source)) {
        cancelOpening();
        show(seat);
    }
}

// Stops what the shown model still does and puts its conversation away.
void ConversationController::leave() {
    abandon();
    seat_->worker->time_ops(false);
    ++job_;
    seat_->worker->stop();
    seat_->conversation = conversation_;
    seat_->tag = conversation_tag_;
}

// Ending a thread and unmapping gigabytes takes a while, so it is done elsewhere.
void ConversationController::retire(std::unique_ptr<Seat> seat) {
    seat->worker->stop();
    QThreadPool::globalInstance()->start(
        [last = std::shared_ptr<Seat>(std::move(seat))]() mutable { last.reset(); });
}

void ConversationController::drop(Seat* seat) {
    const auto found =
        std::find_if(seats_.begin(), seats_.end(), [&](const auto& each) { return each.get() == seat; });
    if (found != seats_.end()) {
        retire(std::move(*found));
        seats_.erase(found);
    }
}

void ConversationController::show(Seat* seat) {
    if (seat != seat_) {
        leave();
        seat_ = seat;
    } else if (opened_) {
        setState(State::idle);
        return;
    }
    opened_ = seat->opened;
    seat->worker->time_ops(timed_);
    const Conversation conversation = std::exchange(seat->conversation, {});
    const quint64 tag = std::exchange(seat->tag, 0);
    clearConversation();
    data_->setModel(opened_);
    QVector<int> heads;
    for (const ergo::AttentionSite& site : opened_->model->info().attentions) {
        heads.append(site.heads);
    }
    selection_->setHeads(heads);
    observe();
    useChanges();
    setState(State::idle);
    emit modelOpened();
    emit modelsChanged();
    if (!conversation.messages.isEmpty()) {
        conversation_ = conversation;
        conversation_tag_ = tag;
        system_ = conversation.system;
    }
    emit conversationReplaced();
    if (!conversation.messages.isEmpty()) {
        prepare(false);
    }
}

void ConversationController::showNothing() {
    seats_.push_back(makeSeat({}, {}));
    seat_ = seats_.back().get();
    opened_.reset();
}

void ConversationController::closeModel(const QString& source) {
    Seat* seat = seatOf(source);
    if (!seat) {
        return;
    }
    if (seat == seat_) {
        leave();
        Seat* other = nullptr;
        for (const auto& each : seats_) {
            other = each.get() != seat && each->opened ? each.get() : other;
        }
        if (other) {
            show(other);
        } else {
            showNothing();
            clearConversation();
            data_->setModel(nullptr);
            emit changesChanged();
            selection_->setHeads({});
            setState(State::no_model);
            emit modelOpened();
            emit conversationReplaced();
        }
    }
    drop(seat);
    emit modelsChanged();
}

// What the thread says that opens a model.
void ConversationController::takeOpening() {
    for (ergo::Event& event : opening_->worker->take_events()) {
        if (auto* step = std::get_if<ergo::EventProgress>(&event)) {
            handle(*step);
        } else if (auto* opened = std::get_if<ergo::EventOpened>(&event)) {
            std::unique_ptr<Seat> fresh = std::move(opening_);
            fresh->opened = opened->model;
            fresh->changes = std::exchange(changes_after_open_, {});
            Seat* const before = seatOf(fresh->source);
            Seat* const empty = seat_->opened ? nullptr : seat_;
            seats_.push_back(std::move(fresh));
            show(seats_.back().get());
            // The same model with other settings takes the other's place.
            drop(before);
            drop(empty);
            emit modelsChanged();
            if (resume_after_open_) {
                const Conversation conversation = *std::exchange(resume_after_open_, std::nullopt);
                resume(conversation);
            }
            return;
        } else if (auto* failure = std::get_if<ergo::EventFailed>(&event)) {
            const QString source = opening_->source, text = QString::fromStdString(failure->text);
            const bool cancelled = failure->kind == ergo::ErrorKind::cancelled;
            cancelOpening();
            emit progressEnded();
            setState(opened_ ? State::idle : State::no_model);
            if (!cancelled) {
                emit openFailed(source, text);
            }
            return;
        }
    }
}

} // namespace ergosphere
