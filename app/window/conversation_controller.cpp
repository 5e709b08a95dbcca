// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/conversation_controller.h"

#include "engine/base/error.h"
#include "engine/generate/end_tokens.h"

#include <QLocale>
#include <QMetaObject>
#include <QPointer>
#include <QThreadPool>

#include <algorithm>
#include <ctime>

namespace ergosphere {

namespace {

constexpr int drain_ms = 33;          // what the eye needs; the engine never waits for it
constexpr double frame_budget_ms = 6; // of one event handler, the rest waits for the next turn of the loop

double threadMilliseconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return double(now.tv_sec) * 1e3 + double(now.tv_nsec) * 1e-6;
}

QString stopName(ergo::EventFinished::Reason reason) {
    using Reason = ergo::EventFinished::Reason;
    switch (reason) {
    case Reason::stop_token:
        return "stop_token";
    case Reason::stop_string:
        return "stop_string";
    case Reason::length:
        return "length";
    case Reason::context_full:
        return "context_full";
    case Reason::cancelled:
        return "cancelled";
    case Reason::failed:
        break;
    }
    return "failed";
}

} // namespace

ConversationController::ConversationController(TranscriptDocument* document, LensData* data,
                                               Selection* selection, QObject* parent)
    : QObject(parent), document_(document), data_(data), selection_(selection) {
    drain_timer_.setSingleShot(true);
    drain_timer_.setTimerType(Qt::PreciseTimer);
    connect(&drain_timer_, &QTimer::timeout, this, &ConversationController::drain);
    // A command that was still waiting when Stop came is dropped without an event.
    stop_timer_.setInterval(20);
    connect(&stop_timer_, &QTimer::timeout, this, [this] {
        const bool busy = seat_->worker->busy();
        drain();
        if (generating_ && !busy) {
            abandon();
        }
    });
    connect(selection_, &Selection::siteChanged, this, &ConversationController::observe);
    last_drain_.start();
    showNothing();
}

ConversationController::~ConversationController() = default;

void ConversationController::setState(State state) {
    if (state_ != state) {
        state_ = state;
        emit stateChanged();
    }
}

bool ConversationController::canRegenerate() const {
    return state_ == State::idle && !conversation_.messages.isEmpty();
}

void ConversationController::setSampling(const ergo::SamplingParams& sampling, qint64 max_tokens) {
    sampling_ = sampling;
    max_tokens_ = max_tokens;
}

void ConversationController::setSystemPrompt(const QString& text) {
    system_ = text;
}

void ConversationController::setStoredId(quint64 tag, qint64 id) {
    if (tag == conversation_tag_) {
        conversation_.id = id;
    }
    for (const auto& seat : seats_) {
        if (seat->tag == tag) {
            seat->conversation.id = id;
        }
    }
}

void ConversationController::observe() {
    if (const ergo::ModelInfo* info = data_->info()) {
        const QVector<ergo::Observe> wanted = subscriptions(*selection_, *info);
        seat_->worker->observe({wanted.begin(), wanted.end()});
        data_->retain(wanted);
    }
}

// ---- commands
// -----------------------------------------------------------------------------------------------

void ConversationController::send(const QString& text) {
    if (state_ != State::idle) {
        return;
    }
    conversation_.messages.push_back({ergo::Role::user, text, {}, {}});
    if (conversation_.title.isEmpty()) {
        conversation_.title = titleFrom(text);
    }
    regenerations_ = 0;
    replaced_.reset();
    prepare(true);
}

void ConversationController::regenerate() {
    if (!canRegenerate()) {
        return;
    }
    replaced_.reset();
    if (conversation_.messages.last().role == ergo::Role::assistant) {
        replaced_ = conversation_.messages.takeLast();
    }
    ++regenerations_; // another seed, or the same words would come again
    prepare(true);
}

void ConversationController::stop() {
    if (state_ == State::preparing) {
        ++job_; // what is being prepared is of no use any more
        setState(State::idle);
        giveBack();
    } else if (opening_) {
        opening_->worker->stop();
        if (!opening_->worker->busy()) { // it had not begun
            cancelOpening();
            setState(opened_ ? State::idle : State::no_model);
            emit progressEnded();
        }
    } else {
        seat_->worker->stop(); // also what it reads to look back
        if (generating_) {
            stop_timer_.start();
        }
        emit progressEnded();
    }
}

// Nothing comes of the reply that was asked for: what was said goes back, the reply that was there stays.
void ConversationController::giveBack() {
    if (replaced_) {
        conversation_.messages.push_back(*std::exchange(replaced_, std::nullopt));
    } else if (!conversation_.messages.isEmpty() && conversation_.messages.last().role == ergo::Role::user) {
        emit returned(conversation_.messages.takeLast().text);
    }
}

// Later events of what was being written are ignored.
void ConversationController::abandon() {
    if (state_ == State::preparing) {
        stop();
    }
    if (generating_) {
        seat_->worker->stop();
        ReplyStats stats = prompt_stats_;
        stats.seconds = written_ > 0 ? double(writing_clock_.elapsed()) * 1e-3 : 0;
        stats.stop = "cancelled";
        finish(stats, {});
        ++job_;
    }
}

void ConversationController::newChat() {
    abandon();
    seat_->worker->forget();
    clearConversation();
    emit conversationReplaced();
}

void ConversationController::clearConversation() {
    ++job_;
    conversation_tag_ = ++last_tag_;
    regenerations_ = 0;
    tokens_per_second_ = 0;
    conversation_ = {};
    if (opened_) {
        conversation_.model_source = QString::fromStdString(opened_->source);
        conversation_.model_name = QString::fromStdString(opened_->model->info().name);
    }
    while (seat_->worker->take_frame()) { // of the conversation that was
    }
    document_->clear();
    data_->clear();
    selection_->setLength(0);
    emit meterChanged();
}

void ConversationController::resume(const Conversation& conversation) {
    if (!opened_ || QString::fromStdString(opened_->source) != conversation.model_source) {
        if (Seat* seat = seatOf(conversation.model_source)) {
            cancelOpening();
            show(seat);
        } else {
            openModel(conversation.model_source,
                      options_of_ ? options_of_(conversation.model_source) : ergo::OpenModelOptions{});
            resume_after_open_ = conversation;
            return;
        }
    }
    newChat();
    conversation_ = conversation;
    system_ = conversation.system;
    emit conversationReplaced();
    prepare(false);
}

// ---- a prompt
// -----------------------------------------------------------------------------------------------

void ConversationController::prepare(bool reply) {
    conversation_.system = system_;
    const std::uint64_t job = ++job_;
    if (reply) {
        setState(State::preparing);
    }
    prompt_stats_ = {};
    // A reply that was cut short is only worth writing again with more room.
    const bool cut = replaced_ && replaced_->stats.stop == "context_full";
    const qint64 room = std::min(max_tokens_, std::max<qint64>(1, contextSize() / 4));
    QThreadPool::globalInstance()->start([self = QPointer(this), opened = opened_,
                                          conversation = conversation_, job, reply, cut, room] {
        Prompt prompt;
        QString problem;
        try {
            prompt = makePrompt(*opened, conversation, reply);
            if (reply && (cut || qint64(prompt.ids.size()) >= opened->context)) {
                prompt.offer = proposeDrop(*opened, conversation, room);
            }
        } catch (const std::exception& error) {
            problem = QString::fromUtf8(error.what());
        }
        // The receiver may be gone by now; the application object is not.
        QMetaObject::invokeMethod(qApp, [self, job, reply, prompt = std::move(prompt), problem]() mutable {
            if (!self || self->job_ != job) {
                return;
            }
            if (problem.isEmpty()) {
                self->prepared(job, reply, std::move(prompt));
            } else {
                self->setState(State::idle);
                if (reply) {
                    self->giveBack();
                }
                emit self->failed(problem);
            }
        });
    });
}

void ConversationController::prepared(std::uint64_t job, bool reply, Prompt prompt) {
    const auto size = static_cast<qint64>(prompt.ids.size());
    if (reply && (size >= contextSize() || prompt.offer)) {
        const bool again = replaced_.has_value();
        setState(State::idle);
        giveBack();
        const QLocale locale;
        if (prompt.offer) {
            emit dropOffered(*prompt.offer, again);
        } else {
            emit failed(tr("The context is full: with this message the conversation is %1 tokens long and "
                           "the model holds "
                           "%2, a reply included. Shorten the message or start a new chat (Ctrl+N).")
                            .arg(locale.toString(size))
                            .arg(locale.toString(contextSize())));
        }
        emit meterChanged();
        return;
    }
    replaced_.reset();
    std::vector<std::int32_t> ids = prompt.ids;
    show(std::move(prompt));
    if (!reply) {
        if (!ids.empty()) {
            ids.resize(std::size_t(std::min(size, contextSize())));
            seat_->worker->read(job, std::move(ids));
        }
        return;
    }
    ergo::SamplingParams sampling = sampling_;
    sampling.seed += regenerations_;
    generate(std::move(ids), sampling);
}

void ConversationController::generate(std::vector<std::int32_t> prompt, const ergo::SamplingParams& sampling,
                                      std::int64_t written, std::map<std::int64_t, std::int32_t> take) {
    ergo::GenerateRequest request;
    request.tag = job_;
    request.prompt = std::move(prompt);
    request.written = written;
    request.take = std::move(take);
    request.sampling = sampling;
    request.max_tokens = max_tokens_;
    request.stop_ids = opened_->chat->stop_ids();
    const auto ends = ergo::end_tokens(*opened_->checkpoint, opened_->tokenizer.get());
    request.stop_ids.insert(request.stop_ids.end(), ends.begin(), ends.end());
    used_sampling_ = request.sampling;
    written_ = 0;
    generating_ = true;
    setState(State::reading);
    seat_->worker->generate(std::move(request));
}

void ConversationController::show(Prompt prompt) {
    // What is known of tokens that were written before stays known.
    const auto& before = document_->turns();
    for (qsizetype t = 0; t < std::min(before.size(), prompt.turns.size()); ++t) {
        if (prompt.turns[t].left_out || before[t].left_out) {
            continue;
        }
        auto& tokens = prompt.turns[t].tokens;
        const auto& old = before[t].tokens;
        for (qsizetype i = 0; i < std::min(old.size(), tokens.size()) && old[i].id == tokens[i].id; ++i) {
            tokens[i].probability = old[i].probability;
            tokens[i].alternatives = old[i].alternatives;
        }
        if (!tokens.isEmpty() && tokens.size() == old.size() && prompt.turns[t].role == before[t].role) {
            prompt.turns[t].note = before[t].note;
        }
    }
    drainFrames();
    const auto& known = data_->tokens();
    const auto differs = std::mismatch(known.begin(), known.end(), prompt.texts.begin(), prompt.texts.end());
    data_->truncate(differs.first - known.begin());
    data_->setTokens(prompt.texts);
    document_->reset(std::move(prompt.turns));
    selection_->setLength(document_->length());
    emit meterChanged();
}

// ---- what the engine says
// -----------------------------------------------------------------------------------

void ConversationController::hold(bool held) {
    held_ += held ? 1 : -1;
    if (held_ == 0) {
        wake();
    }
}

void ConversationController::wake() {
    if (held_ == 0 && !drain_timer_.isActive()) {
        drain_timer_.start(int(std::clamp<qint64>(drain_ms - last_drain_.elapsed(), 0, drain_ms)));
    }
}

void ConversationController::drain() {
    if (held_ > 0) {
        return;
    }
    last_drain_.restart();
    for (const auto& seat : seats_) {
        std::vector<ergo::Event> events = seat->worker->take_events();
        for (ergo::Event& event : events) {
            if (seat.get() == seat_) {
                std::visit([this](auto& e) { handle(e); }, event);
            } else if (auto* moved = std::get_if<ergo::EventMoved>(&event)) {
                seat->opened = moved->model; // else what the others still had to say is of the past
            }
        }
    }
    drainFrames();
    if (opening_) {
        takeOpening();
    }
}

void ConversationController::drainFrames() {
    const double start = threadMilliseconds();
    while (std::optional<ergo::Frame> frame = seat_->worker->take_frame()) {
        data_->add(std::move(*frame));
        if (threadMilliseconds() - start > frame_budget_ms) {
            drain_timer_.start(0);
            return;
        }
    }
}

void ConversationController::handle(ergo::EventProgress& event) {
    if (event.total > 0 && event.done >= event.total) {
        emit progressEnded();
    } else {
        emit progress(QString::fromStdString(event.what), event.done, event.total);
    }
}

void ConversationController::handle(ergo::EventPrompt& event) {
    if (event.tag == job_ && generating_) {
        prompt_stats_.prompt_tokens = event.tokens;
        prompt_stats_.prompt_reused = event.reused;
    }
}

void ConversationController::handle(ergo::EventToken& event) {
    if (event.tag != job_ || !generating_) {
        return;
    }
    if (written_++ == 0) {
        writing_clock_.start();
        setState(State::writing);
    } else if (const qint64 ms = writing_clock_.elapsed(); ms > 0) {
        tokens_per_second_ = double(written_ - 1) * 1e3 / double(ms);
    }
    TranscriptToken token;
    token.id = event.choice.id;
    token.position = event.position;
    token.text = QString::fromStdString(event.text);
    token.piece = tokenPiece(*opened_->tokenizer, token.id);
    token.probability = event.choice.probability;
    token.taken = event.taken;
    token.alternatives = std::move(event.choice.alternatives);
    document_->appendToken(std::move(token));
    data_->appendToken(tokenText(*opened_->tokenizer, event.choice.id));
    selection_->setLength(document_->length());
    emit meterChanged();
}

void ConversationController::handle(ergo::EventFinished& event) {
    if (event.tag != job_ || !generating_) {
        return;
    }
    ReplyStats stats = prompt_stats_;
    stats.tokens = event.tokens;
    stats.seconds = event.seconds;
    stats.first_token_seconds = event.first_token_seconds;
    stats.stop = stopName(event.reason);
    finish(stats, QString::fromStdString(event.trailing_text));
}

void ConversationController::finish(const ReplyStats& result, const QString& trailing_text) {
    generating_ = false;
    stop_timer_.stop(); // or it would take the next message for the one that was stopped
    ReplyStats stats = result;
    stats.tokens = written_;
    stats.temperature = used_sampling_.temperature;
    stats.seed = used_sampling_.seed;
    stats.changes = seat_->changes.join('\n');
    if (stats.seconds > 0 && stats.tokens > 0) {
        tokens_per_second_ = stats.tokensPerSecond();
    }
    Message message{ergo::Role::assistant, {}, {}, stats};
    document_->changeLast([&](TranscriptTurn& turn) {
        turn.writing = false;
        if (!turn.tokens.isEmpty() && written_ > 0) {
            turn.tokens.last().text += trailing_text;
        }
        turn.stats = statsLine(stats);
        if (stats.stop == "context_full") {
            turn.note =
                tr("The context is full (%1 of %2 tokens), so the reply ends here. Regenerate offers to make "
                   "room, Ctrl+N starts a new chat.")
                    .arg(QLocale().toString(contextUsed()))
                    .arg(QLocale().toString(contextSize()));
        } else if (stats.stop == "length") {
            turn.note = tr("The reply reached the limit of %1 tokens set under Sampling.")
                            .arg(QLocale().toString(max_tokens_));
        }
        for (const TranscriptToken& token : turn.tokens) {
            if (!token.marker) {
                message.text += token.text;
                message.ids.push_back(token.id);
            }
        }
    });
    if (!message.ids.empty()) {
        conversation_.messages.push_back(std::move(message));
    }
    if (state_ != State::opening) {
        setState(State::idle);
    }
    emit meterChanged();
    emit replyFinished();
}

void ConversationController::handle(ergo::EventFailed& event) {
    emit progressEnded();
    if (event.kind != ergo::ErrorKind::cancelled) {
        emit failed(QString::fromStdString(event.text));
    }
}

} // namespace ergosphere
