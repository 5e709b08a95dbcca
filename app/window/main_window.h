// SPDX-License-Identifier: GPL-3.0-or-later
// The window: library to the left, conversation in the centre, lenses to the right. Owns the shared
// selection, the lens data, the controller and the store, and wires them; the work is theirs. GUI thread.
#pragma once

#include "app/chat/transcript_document.h"
#include "app/lens/lens.h"
#include "app/lens/lens_data.h"
#include "app/lens/selection.h"
#include "app/library/model_card.h"
#include "app/library/recent_models.h"
#include "app/window/conversation_controller.h"
#include "app/window/theme.h"

#include <QMainWindow>

#include <vector>

class QAction;
class QDockWidget;
class QMimeData;

namespace ergosphere {

class ChatArchive;
class ChatPanel;
class DropOverlay;
class LibraryPanel;
class Preferences;
class TopBar;
class ValidationLog;

class MainWindow : public QMainWindow {
    Q_OBJECT

  public:
    struct Options {
        QString chat_file;        ///< the store; empty: conversations are not kept
        bool saved_layout = true; ///< restore it and save it again
        QString backend = {};     ///< of this run; empty: as in the settings
        int threads = -1;         ///< of this run; -1: as in the settings
    };

    /// `preferences` must outlive the window.
    MainWindow(Preferences* preferences, const Options& options);
    ~MainWindow() override;

    /// Opens at once, without the card.
    void openModel(const QString& source, const LoadChoice& choice = {});
    /// Reads the headers and asks.
    ModelCard* showCard(CardRequest request);
    void showLens(int number); ///< 1 …
    Lens* currentLens() const;

    ConversationController* controller() const { return controller_; }
    ChatPanel* chat() const { return chat_; }
    LibraryPanel* library() const { return library_; }
    TopBar* topBar() const { return top_; }
    Selection* selection() const { return selection_; }
    LensData* lensData() const { return data_; }
    const std::vector<Lens*>& lenses() const { return lenses_; }

  protected:
    void closeEvent(QCloseEvent* event) override;
    void dragEnterEvent(QDragEnterEvent* event) override;
    void dragMoveEvent(QDragMoveEvent* event) override;
    void dragLeaveEvent(QDragLeaveEvent* event) override;
    void dropEvent(QDropEvent* event) override;
    void keyPressEvent(QKeyEvent* event) override;

  private:
    void buildDocks();
    void buildActions();
    void connectController();
    void connectLibrary();
    void connectBackend();
    void showDeveloper();
    void connectChanges();
    QAction* action(QMenu* menu, const QString& text, const QKeySequence& key, std::function<void()> act);
    void defaultLayout();
    void nameTabBars();
    void offerDepth();

    void stateChanged();
    ergo::OpenModelOptions openOptions(const QString& source) const;
    void modelOpened();
    void modelsChanged();
    void stepModel();
    void openFailed(const QString& source, const QString& text);
    void applySampling();
    void offerDrop(const DropOffer& offer, bool again);
    void openRecipe();
    void readRecipe(const QString& path);
    void saveRecipe();
    void chooseModel(bool folder);
    void exportFigure();
    void takeScreenshot();
    void savePicture(QWidget* of, double factor, const QString& path);
    void writePicture(const QImage& image, const QString& path);
    void showSettings();
    void showShortcuts();
    void about();
    QString figureName() const;
    std::optional<ergo::Attachment> partForOpened(const QString& path) const;

    Preferences* preferences_;
    Options options_;
    RecentModels recent_;
    TranscriptDocument* document_;
    LensData* data_;
    Selection* selection_;
    ConversationController* controller_;
    ChatArchive* archive_ = nullptr;
    std::shared_ptr<ValidationLog> validation_log_; ///< the engine's threads write to it
    TopBar* top_;
    ChatPanel* chat_;
    LibraryPanel* library_;
    DropOverlay* overlay_;
    QDockWidget* library_dock_ = nullptr;
    std::vector<Lens*> lenses_;
    std::vector<QDockWidget*> lens_docks_;
    QList<QAction*> actions_; ///< with their shortcuts, for the sheet
    QAction *stop_ = nullptr, *regenerate_ = nullptr, *tokens_ = nullptr, *close_model_ = nullptr,
            *next_model_ = nullptr;
    int last_lens_ = 0;
    bool drop_again_ = false; ///< what is offered is for a reply to be written again
};

} // namespace ergosphere
