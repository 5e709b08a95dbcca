// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/main_window.h"

#include "app/chat/changes_panel.h"
#include "app/chat/chat_archive.h"
#include "app/chat/chat_panel.h"
#include "app/chat/composer.h"
#include "app/chat/drop_banner.h"
#include "app/chat/prompt.h"
#include "app/chat/sampling_panel.h"
#include "app/chat/transcript.h"
#include "app/lens/attention_lens.h"
#include "app/lens/depth_lens.h"
#include "app/lens/heads_lens.h"
#include "app/lens/router_lens.h"
#include "app/library/drop_overlay.h"
#include "app/library/dropped.h"
#include "app/library/library_panel.h"
#include "app/library/model_card.h"
#include "app/window/application.h"
#include "app/window/developer_dialog.h"
#include "app/window/message_bar.h"
#include "app/window/preferences.h"
#include "app/window/top_bar.h"

#include <QCloseEvent>
#include <QDockWidget>
#include <QDragEnterEvent>
#include <QFileInfo>
#include <QKeyEvent>
#include <QMimeData>
#include <QTabBar>
#include <QToolBar>

namespace ergosphere {

namespace {

constexpr int layout_version = 1;

} // namespace

MainWindow::MainWindow(Preferences* preferences, const Options& options)
    : preferences_(preferences), options_(options), recent_(preferences->settings()),
      document_(new TranscriptDocument(this)), data_(new LensData(this)), selection_(new Selection(this)),
      controller_(new ConversationController(document_, data_, selection_, this)),
      validation_log_(std::make_shared<ValidationLog>()) {
    setObjectName("main_window");
    setWindowTitle("Ergosphere");
    setAcceptDrops(true);
    setDockOptions(AnimatedDocks | AllowTabbedDocks | AllowNestedDocks);
    setTabPosition(Qt::AllDockWidgetAreas, QTabWidget::North);
    setDocumentMode(true);

    top_ = new TopBar;
    top_->setSizePolicy(QSizePolicy::Expanding, QSizePolicy::Fixed);
    auto* bar = new QToolBar(tr("Model"));
    bar->setObjectName("top");
    bar->setMovable(false);
    bar->setFloatable(false);
    bar->toggleViewAction()->setEnabled(false);
    bar->setContextMenuPolicy(Qt::PreventContextMenu);
    bar->layout()->setContentsMargins(0, 0, 0, 0);
    bar->addWidget(top_);
    addToolBar(Qt::TopToolBarArea, bar);

    chat_ = new ChatPanel(document_, data_, selection_);
    chat_->transcript()->setRibbon(preferences_->ribbon());
    chat_->transcript()->setReducedMotion(preferences_->reducedMotion());
    setCentralWidget(chat_);
    library_ = new LibraryPanel(&recent_);
    buildDocks();
    overlay_ = new DropOverlay(this);
    if (!options_.chat_file.isEmpty()) {
        archive_ = new ChatArchive(options_.chat_file, this);
    }
    buildActions();
    connectController();
    connectLibrary();
    connectBackend();
    connectChanges();
    if (auto* application = qobject_cast<Application*>(qApp)) {
        connect(application, &Application::unexpected, this, [this](const QString& text) {
            chat_->messages()->showError(tr("Something went wrong inside the program: %1").arg(text));
        });
    }

    resize(1440, 900);
    defaultLayout();
    if (options_.saved_layout) {
        restoreGeometry(preferences_->geometry());
        restoreState(preferences_->layout(), layout_version);
    }
    controller_->setOpenOptions([this](const QString& source) { return openOptions(source); });
    offerDepth();
    stateChanged();
    modelsChanged();
    chat_->composer()->focusField();
}

MainWindow::~MainWindow() = default;

void MainWindow::buildDocks() {
    const auto dock = [this](const QString& name, const QString& title, QWidget* widget,
                             Qt::DockWidgetArea area) {
        auto* d = new QDockWidget(title, this);
        d->setObjectName(name);
        d->setWidget(widget);
        addDockWidget(area, d);
        return d;
    };
    library_dock_ = dock("library", tr("Library"), library_, Qt::LeftDockWidgetArea);
    lenses_ = {new AttentionLens(data_, selection_), new RouterLens(data_, selection_),
               new HeadsLens(data_, selection_), new DepthLens(data_, selection_)};
    const char* names[] = {"lens_attention", "lens_router", "lens_heads", "lens_depth"};
    for (std::size_t i = 0; i < lenses_.size(); ++i) {
        lens_docks_.push_back(dock(names[i], lenses_[i]->name(), lenses_[i], Qt::RightDockWidgetArea));
        connect(lens_docks_[i], &QDockWidget::visibilityChanged, this, [this, i](bool visible) {
            if (visible) {
                last_lens_ = int(i);
            }
            nameTabBars();
        });
    }
    connect(data_, &LensData::modelChanged, this, &MainWindow::offerDepth);
    connect(chat_->transcript(), &Transcript::lensKey, this, [this](QKeyEvent* event) {
        if (Lens* lens = currentLens()) {
            QCoreApplication::sendEvent(lens, event);
        }
    });
}

// Qt makes the bars of tabbed docks by itself, without names.
void MainWindow::nameTabBars() {
    for (QTabBar* bar : findChildren<QTabBar*>(QString(), Qt::FindDirectChildrenOnly)) {
        bar->setAccessibleName(tr("Lenses"));
    }
}

void MainWindow::defaultLayout() {
    addDockWidget(Qt::LeftDockWidgetArea, library_dock_);
    library_dock_->setFloating(false);
    library_dock_->show();
    for (std::size_t i = 0; i < lens_docks_.size(); ++i) {
        lens_docks_[i]->setFloating(false);
        addDockWidget(Qt::RightDockWidgetArea, lens_docks_[i]);
        lens_docks_[i]->show();
        if (i > 0) {
            tabifyDockWidget(lens_docks_[0], lens_docks_[i]);
        }
    }
    lens_docks_[0]->raise();
    last_lens_ = 0;
    offerDepth();
    resizeDocks({library_dock_, lens_docks_[0]}, {240, width() * 38 / 100}, Qt::Horizontal);
}

// Few models have attention over depth: only for those is there a tab by itself.
void MainWindow::offerDepth() {
    QDockWidget* dock = findChild<QDockWidget*>("lens_depth");
    const bool wanted = data_->info() && !data_->info()->depths.empty();
    const bool offered = dock->toggleViewAction()->isVisible();
    dock->toggleViewAction()->setVisible(wanted);
    if (!wanted) {
        dock->hide();
    } else if (!offered) {
        QDockWidget* shown = lens_docks_[std::size_t(last_lens_)];
        dock->show();
        shown->raise(); // a new tab covers nobody
    }
}

void MainWindow::showLens(int number) {
    if (number < 1 || std::size_t(number) > lens_docks_.size()) {
        return;
    }
    QDockWidget* dock = lens_docks_[std::size_t(number - 1)];
    dock->show();
    dock->raise();
    last_lens_ = number - 1;
}

Lens* MainWindow::currentLens() const {
    const auto on_screen = [this](std::size_t i) {
        return lens_docks_[i]->isVisible() && !lenses_[i]->visibleRegion().isEmpty();
    };
    if (on_screen(std::size_t(last_lens_))) {
        return lenses_[std::size_t(last_lens_)];
    }
    for (std::size_t i = 0; i < lenses_.size(); ++i) {
        if (on_screen(i)) {
            return lenses_[i];
        }
    }
    return nullptr;
}

// ---- the conversation
// ---------------------------------------------------------------------------------------

void MainWindow::connectController() {
    Composer* composer = chat_->composer();
    connect(controller_, &ConversationController::stateChanged, this, &MainWindow::stateChanged);
    connect(controller_, &ConversationController::modelOpened, this, &MainWindow::modelOpened);
    connect(controller_, &ConversationController::modelsChanged, this, &MainWindow::modelsChanged);
    connect(controller_, &ConversationController::openFailed, this, &MainWindow::openFailed);
    connect(controller_, &ConversationController::failed, chat_->messages(), &MessageBar::showError);
    connect(controller_, &ConversationController::returned, this, [composer](const QString& text) {
        if (composer->text().isEmpty()) {
            composer->setText(text);
        }
    });
    connect(controller_, &ConversationController::progress, top_, &TopBar::setProgress);
    connect(controller_, &ConversationController::progressEnded, top_, &TopBar::endProgress);
    connect(controller_, &ConversationController::meterChanged, this, [this] {
        top_->setContext(controller_->contextUsed(), controller_->contextSize());
        top_->setSpeed(controller_->tokensPerSecond(), controller_->busy());
    });
    connect(controller_, &ConversationController::conversationReplaced, this, [this] {
        const Conversation& conversation = controller_->conversation();
        library_->setCurrentChat(conversation.id);
        if (!conversation.messages.isEmpty()) {
            chat_->sampling()->setSystemPrompt(conversation.system);
        }
        chat_->messages()->dismiss();
        chat_->drop()->hide();
        stateChanged();
    });
    connect(composer, &Composer::sendRequested, this, [this](const QString& text) {
        chat_->messages()->dismiss();
        chat_->drop()->hide();
        applySampling();
        controller_->send(text);
    });
    connect(composer, &Composer::stopRequested, controller_, &ConversationController::stop);
    connect(composer, &Composer::regenerateRequested, this, [this] { regenerate_->trigger(); });
    connect(chat_->sampling(), &SamplingPanel::changed, this, &MainWindow::applySampling);
    connect(chat_->transcript(), &Transcript::suggestionChosen, this, [this](const QString& text) {
        if (controller_->state() == ConversationController::State::idle) {
            applySampling();
            controller_->send(text);
        }
    });
    connect(top_, &TopBar::openRequested, this, [this] { chooseModel(true); });
    connect(top_, &TopBar::cardRequested, this, [this] {
        if (controller_->opened()) {
            const ergo::OpenedModel& opened = *controller_->opened();
            showCard({QString::fromStdString(opened.source), opened.options.attachments});
        }
    });
    connect(top_, &TopBar::modelChosen, controller_, &ConversationController::showModel);
    connect(top_, &TopBar::modelClosed, controller_, &ConversationController::closeModel);
    connect(top_, &TopBar::cancelRequested, controller_, &ConversationController::stop);
}

void MainWindow::applySampling() {
    controller_->setSampling(chat_->sampling()->params(), chat_->sampling()->maxTokens());
    controller_->setSystemPrompt(chat_->sampling()->systemPrompt());
}

void MainWindow::stateChanged() {
    using State = ConversationController::State;
    const State state = controller_->state();
    Composer* composer = chat_->composer();
    const auto& opened = controller_->opened();
    const bool readable = opened && opened->tokenizer;
    if (state == State::idle && readable) {
        composer->setState(Composer::State::ready);
    } else if (controller_->busy()) {
        composer->setState(Composer::State::writing);
    } else {
        composer->setState(
            Composer::State::unavailable,
            state == State::opening ? tr("Opening the model…")
            : opened
                ? tr("This checkpoint has no tokenizer, so it reads token ids only (ergo logits, ergo trace)")
                : tr("Open a model to begin (Ctrl+O)"));
    }
    composer->setCanRegenerate(controller_->canRegenerate());
    stop_->setEnabled(controller_->busy());
    regenerate_->setEnabled(controller_->canRegenerate());
    if (state == State::idle || state == State::no_model || state == State::writing) {
        top_->endProgress();
    }
    if (!opened && state != State::opening) {
        chat_->transcript()->setEmptyState(tr("No model is open"),
                                           tr("Drop a model's folder or its weights file on this window, or "
                                              "choose one in the library. The files are "
                                              "used in place: nothing is copied, changed or sent anywhere."),
                                           {});
    }
}

void MainWindow::modelsChanged() {
    const auto open = controller_->openModels();
    QStringList sources;
    for (const auto& model : open) {
        sources << QString::fromStdString(model->source);
    }
    top_->setOpenModels(open);
    library_->setOpened(sources, controller_->opened() ? QString::fromStdString(controller_->opened()->source)
                                                       : QString());
    close_model_->setEnabled(!open.empty());
    next_model_->setEnabled(open.size() > 1);
}

void MainWindow::modelOpened() {
    const auto& opened = controller_->opened();
    if (!opened) { // the last one was closed
        top_->setModel(nullptr);
        setWindowTitle("Ergosphere");
        stateChanged();
        return;
    }
    const QString source = QString::fromStdString(opened->source);
    const QString name = QString::fromStdString(opened->model->info().name);
    top_->setModel(opened);
    recent_.add(source);
    chat_->sampling()->setModel(opened->model->info().family, opened->defaults);
    const bool can_chat = opened->chat && opened->chat->can_chat();
    chat_->sampling()->setSystemPromptAvailable(can_chat);
    applySampling();
    chat_->transcript()->setNames(can_chat ? tr("You") : tr("Prompt"),
                                  can_chat ? name : tr("%1 goes on").arg(name));
    chat_->transcript()->setPieceOf([tokenizer = opened->tokenizer](std::int32_t id) {
        return tokenizer ? tokenPiece(*tokenizer, id) : QString::number(id);
    });
    if (source.startsWith("demo:") && can_chat) {
        chat_->transcript()->setEmptyState(
            tr("A model small enough to watch"),
            tr("It was trained for this program: it solves linear equations, adds and subtracts, and "
               "explains what you "
               "see here. Ask something, then click a token of the answer: the lenses follow."),
            {"Solve 3x + 2 = 17", "47 + 38",
             opened->model->info().family == "moa" ? "What is a ball radius?" : "What is attention?"});
    } else if (can_chat) {
        chat_->transcript()->setEmptyState(
            tr("%1 is ready").arg(name),
            tr("Write below. While it answers, the lenses show what every token looks at."), {});
    } else if (!opened->tokenizer) {
        chat_->transcript()->setEmptyState(tr("%1 has no tokenizer").arg(name),
                                           tr("To talk to it, drop its tokenizer.json on this window."), {});
    } else {
        chat_->transcript()->setEmptyState(
            tr("%1 is ready").arg(name),
            tr("It has no chat format, so it continues the text you write below."), {});
    }
    setWindowTitle(QString("%1 %2 Ergosphere").arg(name, QChar(0x2014)));
    stateChanged();
    chat_->composer()->focusField();
}

void MainWindow::openFailed(const QString& source, const QString& text) {
    if (controller_->isOpen(source) && chat_->changes()->isVisible()) { // a knob that it cannot have
        chat_->changes()->setProblem(text);
        return;
    }
    recent_.setParts(source, {}); // what is attached may be gone: next time without it
    recent_.setTypes(source, {});
    ModelCard::forFailure(source, text, this)->open();
}

// ---- models and chats
// ---------------------------------------------------------------------------------------

/// As the settings have it and as the model was opened last.
ergo::OpenModelOptions MainWindow::openOptions(const QString& source) const {
    ergo::OpenModelOptions options;
    options.backend = (options_.backend.isEmpty() ? preferences_->backend() : options_.backend).toStdString();
    options.threads = options_.threads < 0 ? preferences_->threads() : options_.threads;
    options.pin = preferences_->pin();
    options.watched = true;
    options.on_validation = [log = validation_log_](const std::string& message) {
        log->add(QString::fromStdString(message));
    };
    options.attachments = recent_.parts(source);
    const RunTypes types = recent_.types(source);
    options.model.dtype = types.weights.toStdString();
    options.model.cache = types.cache.toStdString();
    return options;
}

void MainWindow::openModel(const QString& source, const LoadChoice& choice) {
    recent_.setParts(source, choice.parts.value_or(recent_.parts(source)));
    recent_.setTypes(source, choice.types.value_or(recent_.types(source)));
    ergo::OpenModelOptions options = openOptions(source);
    options.model.allow_unused = choice.insisting.allow_unused;
    options.model.knobs = choice.insisting.knobs;
    options.context = choice.context;
    options.checkpoint = choice.checkpoint;
    chat_->messages()->dismiss();
    controller_->openModel(source, options);
}

ModelCard* MainWindow::showCard(CardRequest request) {
    if (!request.types) {
        request.types = recent_.types(request.source);
    }
    auto* card = new ModelCard(request, this);
    connect(card, &ModelCard::loadRequested, this, &MainWindow::openModel);
    connect(card, &ModelCard::cardRequested, this, &MainWindow::showCard);
    card->open();
    return card;
}

void MainWindow::connectLibrary() {
    connect(library_, &LibraryPanel::modelChosen, this, [this](const QString& source) {
        if (controller_->isOpen(source)) {
            controller_->showModel(source);
        } else {
            openModel(source);
        }
    });
    connect(library_, &LibraryPanel::modelClosed, controller_, &ConversationController::closeModel);
    connect(library_, &LibraryPanel::openRequested, this, [this] { chooseModel(true); });
    connect(library_, &LibraryPanel::newChatRequested, controller_, &ConversationController::newChat);
    if (!archive_) {
        return;
    }
    connect(archive_, &ChatArchive::listed, library_, &LibraryPanel::setChats);
    connect(archive_, &ChatArchive::failed, chat_->messages(), &MessageBar::showError);
    connect(archive_, &ChatArchive::loaded, controller_, &ConversationController::resume);
    connect(archive_, &ChatArchive::saved, this, [this](quint64 tag, qint64 id) {
        controller_->setStoredId(tag, id);
        library_->setCurrentChat(controller_->conversation().id);
    });
    connect(controller_, &ConversationController::replyFinished, this, [this] {
        if (!controller_->conversation().messages.isEmpty()) {
            archive_->save(controller_->conversation(), controller_->tag());
        }
    });
    connect(library_, &LibraryPanel::chatChosen, archive_, &ChatArchive::load);
    connect(library_, &LibraryPanel::chatDeleted, this, [this](qint64 id, const QString& title) {
        if (id == controller_->conversation().id) {
            controller_->newChat();
        }
        archive_->remove(id);
        chat_->messages()->showNotice(tr("Deleted “%1”.").arg(title), tr("Undo"),
                                      [this, id] { archive_->restore(id); });
    });
    archive_->start();
}

// ---- window
// -------------------------------------------------------------------------------------------------

void MainWindow::closeEvent(QCloseEvent* event) {
    controller_->abandon();
    if (options_.saved_layout) {
        preferences_->setWindow(saveGeometry(), saveState(layout_version));
    }
    QMainWindow::closeEvent(event);
}

void MainWindow::keyPressEvent(QKeyEvent* event) {
    if (event->key() == Qt::Key_Escape && controller_->busy()) {
        controller_->stop();
        return;
    }
    QMainWindow::keyPressEvent(event);
}

// Something that belongs to a model is meant for the one that is open.
std::optional<ergo::Attachment> MainWindow::partForOpened(const QString& path) const {
    return controller_->opened() ? partFor(path) : std::nullopt;
}

void MainWindow::dragEnterEvent(QDragEnterEvent* event) {
    const QString path = draggedPath(event->mimeData());
    if (path.isEmpty()) {
        return;
    }
    event->acceptProposedAction();
    const auto part = partForOpened(path);
    overlay_->cover(part ? useText(*part, QString::fromStdString(controller_->opened()->model->info().name))
                         : tr("Drop to open"),
                    path);
}

void MainWindow::dragMoveEvent(QDragMoveEvent* event) {
    event->acceptProposedAction();
}
void MainWindow::dragLeaveEvent(QDragLeaveEvent*) {
    overlay_->hide();
}

void MainWindow::dropEvent(QDropEvent* event) {
    overlay_->hide();
    const QString path = draggedPath(event->mimeData());
    if (path.isEmpty()) {
        return;
    }
    event->acceptProposedAction();
    if (const auto part = partForOpened(path)) {
        const ergo::OpenedModel& opened = *controller_->opened();
        showCard({QString::fromStdString(opened.source), withPart(opened.options.attachments, *part),
                  opened.checkpoint});
    } else {
        showCard(path);
    }
}

} // namespace ergosphere
