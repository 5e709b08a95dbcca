// SPDX-License-Identifier: GPL-3.0-or-later
// What a person changes: which messages the model is given, which token stands where, and the model itself.
#include "app/window/conversation_controller.h"
#include "engine/base/error.h"
#include "engine/lab/recipe.h"
#include "engine/model/intervention.h"

#include <algorithm>

namespace ergosphere {

namespace {

ergo::OpenOptions sorted(const QStringList& changes) {
    ergo::OpenOptions options;
    std::vector<std::string> texts;
    for (const QString& change : changes) {
        texts.push_back(change.toStdString());
    }
    ergo::apply_settings(texts, options);
    return options;
}

} // namespace

void ConversationController::leaveOut(const QVector<int>& messages) {
    for (const int index : messages) {
        if (index >= 0 && index < conversation_.messages.size()) {
            conversation_.messages[index].left_out = true;
        }
    }
}

void ConversationController::takeInstead(qint64 position, std::int32_t id) {
    abandon(); // what is being written stays as far as it came
    const auto& turns = document_->turns();
    int turn = 0;
    while (turn < turns.size() && (turns[turn].left_out || turns[turn].tokens.isEmpty() ||
                                   turns[turn].tokens.last().position < position)) {
        ++turn;
    }
    const int system = !turns.isEmpty() && turns.first().role == ergo::Role::system ? 1 : 0;
    const int message = turn - system;
    if (state_ != State::idle || turn >= turns.size() || message < 0 ||
        message >= conversation_.messages.size() || turns[turn].role != ergo::Role::assistant) {
        return;
    }
    std::vector<std::int32_t> prompt;
    for (int t = 0; t <= turn; ++t) {
        for (const TranscriptToken& token : turns[t].tokens) {
            if (token.position >= 0 && token.position < position) {
                prompt.push_back(token.id);
            }
        }
    }
    const auto& reply = turns[turn].tokens;
    const int index = int(position - reply.first().position);
    if (index < 0 || reply[index].marker || qint64(prompt.size()) != position) {
        return;
    }
    const auto written = std::count_if(reply.begin(), reply.begin() + index,
                                       [](const TranscriptToken& token) { return !token.marker; });
    ergo::SamplingParams sampling = sampling_;
    sampling.seed = conversation_.messages[message].stats.seed; // as if this reply went another way
    ++job_;
    conversation_tag_ = ++last_tag_;
    conversation_.id = 0;
    const QString mark = tr("branch: ");
    if (!conversation_.title.startsWith(mark)) { // in front: a narrow list cuts the end off
        conversation_.title.prepend(mark);
    }
    conversation_.messages.resize(message);
    replaced_.reset();
    regenerations_ = 0;
    prompt_stats_ = {};
    drainFrames();
    document_->rewind(turn, index);
    data_->truncate(position);
    selection_->setLength(position);
    emit conversationReplaced();
    emit meterChanged();
    generate(std::move(prompt), sampling, written, {{written, id}});
}

QString ConversationController::setChanges(const QStringList& changes) {
    if (!opened_ || state_ == State::opening) {
        return tr("Open a model first.");
    }
    if (changes == seat_->changes) {
        return {};
    }
    ergo::OpenOptions wanted;
    try {
        wanted = sorted(changes);
        (void)ergo::changed_params(opened_->model->tables()->params, wanted.interventions);
    } catch (const ergo::Error& error) {
        return QString::fromUtf8(error.what());
    }
    if (wanted.knobs != seat_->options.model.knobs) {
        ergo::OpenModelOptions options = seat_->options;
        options.model.knobs = wanted.knobs;
        openModel(seat_->source, options);
        changes_after_open_ = changes;
        return {};
    }
    seat_->changes = changes;
    useChanges();
    // What is there is looked at as the changed model sees it. A reply that is being written goes on.
    if (state_ == State::idle && !conversation_.messages.isEmpty()) {
        drainFrames();
        data_->truncate(0); // rows of the run count more than rows that are read again
        prepare(false);
    }
    return {};
}

/// Tells the worker and the views what the seat's model is changed to.
void ConversationController::useChanges() {
    const auto& params = opened_->model->tables()->params;
    try {
        const auto values = ergo::changed_params(params, sorted(seat_->changes).interventions);
        seat_->worker->set_params(values);
        data_->setChanges(seat_->changes, values);
    } catch (const ergo::Error& error) { // a knob took away what a change was about
        seat_->changes.erase(std::remove_if(seat_->changes.begin(), seat_->changes.end(),
                                            [](const QString& c) { return !c.startsWith("knob."); }),
                             seat_->changes.end());
        emit failed(QString::fromUtf8(error.what()));
        data_->setChanges(seat_->changes, {});
    }
    emit changesChanged();
}

} // namespace ergosphere
