// SPDX-License-Identifier: GPL-3.0-or-later
// The window's menus and what they do.
#include "app/chat/changes_panel.h"
#include "app/chat/chat_panel.h"
#include "app/chat/composer.h"
#include "app/chat/transcript.h"
#include "app/library/library_panel.h"
#include "app/library/model_card.h"
#include "app/window/background_job.h"
#include "app/window/dialogs.h"
#include "app/window/export_figure.h"
#include "app/window/main_window.h"
#include "app/window/message_bar.h"
#include "app/window/preferences.h"
#include "app/window/progress_row.h"
#include "app/window/screenshot.h"

#include <QActionGroup>
#include <QApplication>
#include <QClipboard>
#include <QDockWidget>
#include <QFileDialog>
#include <QFileInfo>
#include <QMenuBar>
#include <QMessageBox>
#include <QMimeData>
#include <QPointer>
#include <QRegularExpression>

#include <algorithm>

namespace ergosphere {

QAction* MainWindow::action(QMenu* menu, const QString& text, const QKeySequence& key,
                            std::function<void()> act) {
    QAction* a = menu->addAction(text);
    a->setShortcut(key);
    a->setShortcutContext(Qt::ApplicationShortcut); // docks torn off keep them too
    connect(a, &QAction::triggered, this, [act = std::move(act)] { act(); });
    actions_.append(a);
    return a;
}

void MainWindow::buildActions() {
    QMenu* file = menuBar()->addMenu(tr("&File"));
    action(file, tr("&Open model folder…"), QKeySequence("Ctrl+O"), [this] { chooseModel(true); });
    action(file, tr("Open weights &file…"), QKeySequence("Ctrl+Shift+O"), [this] { chooseModel(false); });
    next_model_ = action(file, tr("&Next open model"), QKeySequence("Ctrl+PgDown"), [this] { stepModel(); });
    next_model_->setObjectName("next_model");
    close_model_ = action(file, tr("&Close model"), QKeySequence("Ctrl+W"), [this] {
        controller_->closeModel(QString::fromStdString(controller_->opened()->source));
    });
    close_model_->setObjectName("close_model");
    file->addSeparator();
    action(file, tr("&Export figure…"), QKeySequence("Ctrl+E"), [this] {
        exportFigure();
    })->setObjectName("export_figure");
    action(file, tr("&Screenshot…"), QKeySequence("Ctrl+Shift+E"), [this] {
        takeScreenshot();
    })->setObjectName("take_screenshot");
    file->addSeparator();
    action(file, tr("Se&ttings…"), QKeySequence("Ctrl+,"), [this] { showSettings(); });
    action(file, tr("&Quit"), QKeySequence("Ctrl+Q"), [this] { close(); });

    QMenu* chat = menuBar()->addMenu(tr("&Chat"));
    action(chat, tr("&New chat"), QKeySequence("Ctrl+N"), [this] {
        controller_->newChat();
        chat_->composer()->focusField();
    });
    stop_ = action(chat, tr("&Stop"), QKeySequence("Ctrl+."), [this] { controller_->stop(); });
    regenerate_ = action(chat, tr("&Regenerate"), QKeySequence("Ctrl+R"), [this] {
        applySampling();
        controller_->regenerate();
    });
    action(chat, tr("&Interventions"), QKeySequence("Ctrl+I"), [this] {
        const bool shown = !chat_->changes()->isVisible();
        chat_->composer()->showChanges(shown);
        if (shown) {
            chat_->changes()->setFocus(Qt::ShortcutFocusReason);
        } else {
            chat_->composer()->focusField();
        }
    });
    action(chat, tr("&Write"), QKeySequence("Ctrl+L"), [this] { chat_->composer()->focusField(); });
    action(chat, tr("Select &tokens"), QKeySequence("Ctrl+J"), [this] { chat_->transcript()->setFocus(); });

    QMenu* view = menuBar()->addMenu(tr("&View"));
    action(view, tr("&Library"), QKeySequence("Ctrl+B"),
           [this] { library_dock_->setVisible(!library_dock_->isVisible()); });
    for (std::size_t i = 0; i < lenses_.size(); ++i) {
        const int number = int(i) + 1;
        action(view, lenses_[i]->name(), QKeySequence(QString::number(number)),
               [this, number] { showLens(number); });
    }
    view->addSeparator();
    tokens_ = action(view, tr("Token by &token"), QKeySequence("Ctrl+T"), [] {});
    tokens_->setCheckable(true);
    connect(tokens_, &QAction::toggled, chat_, &ChatPanel::setPieces);
    connect(chat_, &ChatPanel::piecesChanged, tokens_, &QAction::setChecked);
    QAction* ribbon = action(view, tr("Router &ribbon"), {}, [] {});
    ribbon->setCheckable(true);
    ribbon->setChecked(preferences_->ribbon());
    connect(ribbon, &QAction::toggled, this, [this](bool on) {
        preferences_->setRibbon(on);
        chat_->transcript()->setRibbon(on);
        chat_->update();
    });
    view->addSeparator();
    for (QDockWidget* dock : lens_docks_) {
        QAction* toggle = dock->toggleViewAction();
        toggle->setText(tr("Show %1").arg(dock->windowTitle()));
        view->addAction(toggle);
    }
    action(view, tr("Reset la&yout"), {}, [this] { defaultLayout(); });

    QMenu* help = menuBar()->addMenu(tr("&Help"));
    action(help, tr("&Shortcuts and gestures"), QKeySequence("F1"), [this] { showShortcuts(); });
    action(help, tr("Backend &diagnostics"), {}, [this] { showDeveloper(); })->setObjectName("diagnostics");
    action(help, tr("&About Ergosphere"), {}, [this] { about(); });
}

void MainWindow::stepModel() {
    const auto open = controller_->openModels();
    const auto shown = std::find(open.begin(), open.end(), controller_->opened());
    if (shown != open.end() && open.size() > 1) {
        const auto next = std::next(shown) == open.end() ? open.begin() : std::next(shown);
        controller_->showModel(QString::fromStdString((*next)->source));
    }
}

void MainWindow::chooseModel(bool folder) {
    auto* dialog = new QFileDialog(this, folder ? tr("Open a model's folder") : tr("Open a weights file"),
                                   preferences_->folder("models"));
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    if (folder) {
        dialog->setFileMode(QFileDialog::Directory);
        dialog->setOption(QFileDialog::ShowDirsOnly);
    } else {
        dialog->setFileMode(QFileDialog::ExistingFile);
        dialog->setNameFilters(
            {tr("Weights (*.safetensors *.bin *.pt *.pth *.ckpt *.zst *.gguf *.index.json)"),
             tr("All files (*)")});
    }
    connect(dialog, &QFileDialog::fileSelected, this, [this](const QString& path) {
        preferences_->setFolder("models", QFileInfo(path).absolutePath());
        showCard(path);
    });
    dialog->open();
}

// "moa-attention-layer0_MetricMH-head5": says what it is of, whatever system the file goes to.
QString MainWindow::figureName() const {
    QStringList parts;
    if (const ergo::ModelInfo* info = data_->info()) {
        parts << QString::fromStdString(info->name);
        const Lens* lens = currentLens();
        parts << (lens ? lens->name() : QString());
        const int site = selection_->site();
        if (site >= 0 && std::size_t(site) < info->attentions.size() && lens == lenses_[0]) {
            parts << QString::fromStdString(info->attentions[std::size_t(site)].label);
            parts << (selection_->head() < 0 ? tr("mean") : tr("head %1").arg(selection_->head()));
        }
    }
    static const QRegularExpression unsafe("[^\\p{L}\\p{N}]+");
    QString name = parts.join('-').toLower().replace(unsafe, "-");
    while (name.endsWith('-')) {
        name.chop(1);
    }
    return name.isEmpty() ? "figure" : name;
}

void MainWindow::exportFigure() {
    Lens* lens = currentLens();
    const std::optional<FigureSnapshot> figure = lens ? lens->figureSnapshot() : std::nullopt;
    if (!figure) {
        chat_->messages()->showNotice(
            lens ? tr("The lens %1 has nothing to export yet. Ask the model something first.")
                       .arg(lens->name())
                 : tr("No lens is open. Press 1, 2, 3 or 4 to open one."));
        return;
    }
    auto* dialog =
        new FigureDialog(*figure, lens->figureSpec(), figureName(), preferences_->folder("figures"), this);
    connect(dialog, &FigureDialog::exported, this, [this](const QString& path) {
        preferences_->setFolder("figures", QFileInfo(path).absolutePath());
        chat_->messages()->showNotice(tr("Wrote %1.").arg(path), tr("Copy path"),
                                      [path] { QApplication::clipboard()->setText(path); });
    });
    connect(dialog, &FigureDialog::copied, this,
            [this] { chat_->messages()->showNotice(tr("The figure is on the clipboard.")); });
    dialog->open();
}

void MainWindow::takeScreenshot() {
    QPointer<Lens> lens = currentLens();
    auto* dialog =
        new ScreenshotDialog(lens ? lens->name() : QString(), preferences_->folder("figures"), this);
    connect(dialog, &ScreenshotDialog::requested, this, [this, dialog, lens] {
        QWidget* of = dialog->ofLens() && lens ? static_cast<QWidget*>(lens) : this;
        savePicture(of, dialog->factor(), dialog->toClipboard() ? QString() : dialog->path());
    });
    dialog->open();
}

// `path` empty: to the clipboard. While the strips are painted the reply being written is held back, so that
// all of them show the same moment.
void MainWindow::savePicture(QWidget* of, double factor, const QString& path) {
    controller_->hold(true);
    auto* grab = new StripGrab(of, factor, of == this, this);
    connect(grab, &StripGrab::done, this, [this, grab, path](const QImage& image) {
        grab->deleteLater();
        controller_->hold(false);
        if (image.isNull()) {
            chat_->messages()->showError(
                tr("There is not enough memory for a picture of this size; choose a smaller one."));
        } else {
            writePicture(image, path);
        }
    });
}

void MainWindow::writePicture(const QImage& image, const QString& path) {
    auto bytes = std::make_shared<QByteArray>();
    auto* job = new BackgroundJob(
        [image, path, bytes](const ergo::Progress& progress, const ergo::CancelToken& cancel) {
            *bytes = pngBytes(image, progress, cancel);
            if (!path.isEmpty()) {
                writeWhole(*bytes, path, cancel);
            }
        },
        this);
    connect(job, &BackgroundJob::progress, chat_->work(), &ProgressRow::setProgress);
    connect(chat_->work(), &ProgressRow::cancelRequested, job, &BackgroundJob::cancel);
    const auto over = [this, job] {
        job->deleteLater();
        chat_->work()->finish();
    };
    connect(job, &BackgroundJob::cancelled, this, over);
    connect(job, &BackgroundJob::failed, this, [this, over](const QString& problem) {
        over();
        chat_->messages()->showError(problem);
    });
    connect(job, &BackgroundJob::done, this, [this, over, bytes, path, size = image.size()] {
        over();
        if (path.isEmpty()) {
            auto* mime = new QMimeData;
            mime->setData("image/png", *bytes); // encoded once, here; nobody who pastes waits for it
            QApplication::clipboard()->setMimeData(mime);
            chat_->messages()->showNotice(
                tr("Copied a picture of %1 × %2 pixels.").arg(size.width()).arg(size.height()));
        } else {
            preferences_->setFolder("figures", QFileInfo(path).absolutePath());
            chat_->messages()->showNotice(tr("Wrote %1.").arg(path));
        }
    });
}

void MainWindow::showSettings() {
    auto* dialog = new SettingsDialog(preferences_, this);
    connect(dialog, &SettingsDialog::themeChanged, this,
            [](ThemeChoice theme) { applyTheme(*qobject_cast<QApplication*>(qApp), theme); });
    connect(dialog, &SettingsDialog::lookChanged, this,
            [this] { chat_->transcript()->setReducedMotion(preferences_->reducedMotion()); });
    dialog->open();
}

void MainWindow::showShortcuts() {
    (new ShortcutSheet(actions_, this))->open();
}

void MainWindow::about() {
    auto* box = new QMessageBox(this);
    box->setAttribute(Qt::WA_DeleteOnClose);
    box->setWindowTitle(tr("About Ergosphere"));
    box->setText(tr("<b>Ergosphere %1</b>").arg(QApplication::applicationVersion()));
    box->setInformativeText(
        tr("A laboratory for language models whose attention has a geometry. Free software under the "
           "GNU General Public License, version 3 or later, without any warranty. It works offline: "
           "nothing leaves this machine."));
    box->open();
}

} // namespace ergosphere
