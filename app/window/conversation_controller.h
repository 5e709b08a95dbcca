// SPDX-License-Identifier: GPL-3.0-or-later
// Between the window and the engine: owns the workers, one for every model that is open, turns the events of
// the one that is shown into the transcript and its frames into LensData. Every open model keeps its
// conversation. GUI thread; nothing here waits for the engine.
#pragma once

#include "app/chat/conversation.h"
#include "app/chat/prompt.h"
#include "app/chat/transcript_document.h"
#include "app/lens/lens_data.h"
#include "app/lens/selection.h"
#include "engine/generate/worker.h"

#include <QElapsedTimer>
#include <QObject>
#include <QTimer>

#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace ergosphere {

class ConversationController : public QObject {
    Q_OBJECT

  public:
    enum class State {
        no_model,
        opening, ///< what is open already stays
        idle,
        preparing, ///< the text is being encoded
        reading,   ///< the model reads the prompt
        writing,
    };

    /// All three must outlive the controller.
    ConversationController(TranscriptDocument* document, LensData* data, Selection* selection,
                           QObject* parent = nullptr);
    ~ConversationController() override;

    State state() const { return state_; }
    bool busy() const { return state_ >= State::preparing; }
    const std::shared_ptr<const ergo::OpenedModel>& opened() const { return opened_; }
    /// Everything that is open, in the order of opening; opened() is one of them.
    std::vector<std::shared_ptr<const ergo::OpenedModel>> openModels() const;
    bool isOpen(const QString& source) const;
    const Conversation& conversation() const { return conversation_; }
    const TranscriptDocument& transcript() const { return *document_; }
    /// Another number for every conversation of this run of the program.
    quint64 tag() const { return conversation_tag_; }
    bool canRegenerate() const;

    qint64 contextUsed() const { return document_->length(); }
    qint64 contextSize() const { return opened_ ? opened_->context : 0; }
    /// Of the reply being written, else of the last one; 0 before any.
    double tokensPerSecond() const { return tokens_per_second_; }
    std::size_t droppedFrames() const { return seat_->worker->dropped_frames(); }

    /// The shown model runs there from the next token on; ends with backendChanged() or failed().
    void useBackend(const QString& backend, const ergo::Diagnostics& diagnostics);
    /// Whether the shown model's ops are timed.
    void timeOps(bool timed);
    std::vector<ergo::OpTime> opTimes() const;

    /// How a model is opened that a stored conversation needs.
    void setOpenOptions(std::function<ergo::OpenModelOptions(const QString& source)> options) {
        options_of_ = std::move(options);
    }
    /// Used from the next reply on.
    void setSampling(const ergo::SamplingParams& sampling, qint64 max_tokens);
    void setSystemPrompt(const QString& text);
    /// These messages are no longer given to the model (DropOffer::messages); they stay in the conversation.
    void leaveOut(const QVector<int>& messages);
    /// What is changed in the shown model, as `ergo --set` has it ("layers.*.router.temperature=2",
    /// "knob.phase=false"), in order.
    const QStringList& changes() const { return seat_->changes; }
    /// Replaces them. Parameters change from the next token on, what is there is read again with them; a
    /// knob opens the model anew. Returns what is wrong with them, or an empty text.
    QString setChanges(const QStringList& changes);
    /// Ends what is being written here and now and keeps what is there; replyFinished() comes before this
    /// returns.
    void abandon();
    /// While held, nothing the engine says is shown; it waits and comes when released.
    void hold(bool held);
    /// The store's id of the conversation `tag`.
    void setStoredId(quint64 tag, qint64 id);

  public slots:
    /// Opens `source` beside what is open, or shows it when it is open already with these options.
    void openModel(const QString& source, const ergo::OpenModelOptions& options = {});
    /// Shows an open model with its conversation.
    void showModel(const QString& source);
    /// Lets go of the model and its memory; its conversation stays in the store. Another open one is shown.
    void closeModel(const QString& source);
    void send(const QString& text);
    void stop();
    void regenerate();
    /// A branch of the conversation: the reply that has a token at `position` of the log is written again
    /// from there, beginning with the token `id`. The conversation that was stays in the store.
    void takeInstead(qint64 position, std::int32_t id);
    void newChat();
    /// Shows a stored conversation; its model is opened when another one is. The model reads it in the
    /// background, so that the lenses have something to show.
    void resume(const ergosphere::Conversation& conversation);

  signals:
    void stateChanged();
    void modelOpened();   ///< another model is shown
    void modelsChanged(); ///< what is open
    /// opened() runs elsewhere now; `fallback`: because a device failed.
    void backendChanged(const QString& why, bool fallback);
    void openFailed(const QString& source, const QString& text);
    /// Something else went wrong; one text for people.
    void failed(const QString& text);
    /// There is no room for a reply, but there would be without some messages. `again`: a reply was to be
    /// written again (else the message goes back by returned()).
    void dropOffered(const ergosphere::DropOffer& offer, bool again);
    void changesChanged(); ///< of the shown model
    /// `text` could not be sent and goes back to where it was written.
    void returned(const QString& text);
    void progress(const QString& what, double done, double total);
    void progressEnded();
    void meterChanged();
    void conversationReplaced(); ///< another one is shown
    void replyFinished();        ///< the conversation has a new reply and is worth storing

  private:
    /// An open model with its thread and, while it is not shown, its conversation.
    struct Seat {
        std::unique_ptr<ergo::Worker> worker;
        QString source;
        ergo::OpenModelOptions options;
        std::shared_ptr<const ergo::OpenedModel> opened;
        Conversation conversation;
        quint64 tag = 0;
        QStringList changes;
    };
    std::unique_ptr<Seat> makeSeat(const QString& source, const ergo::OpenModelOptions& options);
    Seat* seatOf(const QString& source) const;
    void cancelOpening();
    void leave();
    static void retire(std::unique_ptr<Seat> seat);
    void drop(Seat* seat);
    void show(Seat* seat);
    void showNothing();
    void takeOpening();
    void wake();
    void drain();
    void drainFrames();
    void handle(ergo::EventProgress& event);
    void handle(ergo::EventOpened&) {} // of an opening alone
    void handle(ergo::EventPrompt& event);
    void handle(ergo::EventToken& event);
    void handle(ergo::EventFinished& event);
    void handle(ergo::EventFailed& event);
    void handle(ergo::EventMoved& event);
    void prepare(bool reply);
    void prepared(std::uint64_t job, bool reply, Prompt prompt);
    void show(Prompt prompt);
    void generate(std::vector<std::int32_t> prompt, const ergo::SamplingParams& sampling,
                  std::int64_t written = 0, std::map<std::int64_t, std::int32_t> take = {});
    void giveBack();
    void useChanges();
    void finish(const ReplyStats& stats, const QString& trailing_text);
    void setState(State state);
    void observe();
    void clearConversation();

    TranscriptDocument* document_;
    LensData* data_;
    Selection* selection_;
    std::shared_ptr<const ergo::OpenedModel> opened_;
    Conversation conversation_;
    std::optional<Conversation> resume_after_open_;
    QStringList changes_after_open_;
    std::optional<Message> replaced_; ///< the reply that is being written again, until that has begun
    std::function<ergo::OpenModelOptions(const QString&)> options_of_;
    QString system_;
    ergo::SamplingParams sampling_, used_sampling_;
    qint64 max_tokens_ = 512;
    State state_ = State::no_model;
    std::uint64_t job_ = 0; ///< the reply being prepared or written
    quint64 conversation_tag_ = 1, last_tag_ = 1;
    quint64 regenerations_ = 0;
    ReplyStats prompt_stats_;
    int held_ = 0;
    bool timed_ = false;      ///< ops
    bool generating_ = false; ///< the worker has the request and has not said that it is done
    qint64 written_ = 0;
    double tokens_per_second_ = 0;
    QElapsedTimer writing_clock_, last_drain_;
    QTimer drain_timer_, stop_timer_;
    // Last: their threads call wake().
    std::vector<std::unique_ptr<Seat>> seats_; ///< all that are open, and one without a model before any is
    std::unique_ptr<Seat> opening_;
    Seat* seat_ = nullptr; ///< the one that is shown
};

} // namespace ergosphere
