// SPDX-License-Identifier: GPL-3.0-or-later
// What a person changes in the conversation and in the model: room in the context, another token,
// interventions.
#include "app/chat/changes_panel.h"
#include "app/chat/chat_panel.h"
#include "app/chat/composer.h"
#include "app/chat/drop_banner.h"
#include "app/chat/sampling_panel.h"
#include "app/chat/transcript.h"
#include "app/window/background_job.h"
#include "app/window/export_figure.h"
#include "app/window/main_window.h"
#include "app/window/message_bar.h"
#include "app/window/preferences.h"
#include "app/window/top_bar.h"
#include "engine/base/error.h"
#include "engine/lab/recipe.h"

#include <QFile>
#include <QFileDialog>
#include <QFileInfo>

namespace ergosphere {

namespace {

constexpr qint64 largest_recipe = 1 << 20; // bytes

} // namespace

void MainWindow::connectChanges() {
    DropBanner* drop = chat_->drop();
    connect(controller_, &ConversationController::dropOffered, this, &MainWindow::offerDrop);
    connect(drop, &DropBanner::accepted, this, [this](const DropOffer& offer) {
        controller_->leaveOut(offer.messages);
        if (drop_again_) {
            applySampling();
            controller_->regenerate();
        } else {
            chat_->composer()->submit();
        }
        chat_->composer()->focusField();
    });
    connect(drop, &DropBanner::declined, this, [this] { chat_->composer()->focusField(); });
    connect(chat_->transcript(), &Transcript::takeRequested, this, [this](qint64 position, std::int32_t id) {
        applySampling();
        controller_->takeInstead(position, id);
    });

    ChangesPanel* panel = chat_->changes();
    connect(panel, &ChangesPanel::requested, this, [this, panel](const QStringList& changes) {
        panel->setProblem(controller_->setChanges(changes));
    });
    connect(panel, &ChangesPanel::openRecipeRequested, this, &MainWindow::openRecipe);
    connect(panel, &ChangesPanel::saveRecipeRequested, this, &MainWindow::saveRecipe);
    connect(controller_, &ConversationController::modelOpened, panel,
            [this, panel] { panel->setModel(controller_->opened()); });
    const auto show = [this, panel] {
        panel->setChanges(controller_->changes());
        chat_->composer()->setChangeCount(int(controller_->changes().size()));
        top_->setChanges(controller_->changes());
    };
    connect(controller_, &ConversationController::changesChanged, panel, show);
    connect(controller_, &ConversationController::openFailed, panel, show);
    connect(top_, &TopBar::changesRequested, this, [this] { chat_->composer()->showChanges(true); });
}

void MainWindow::offerDrop(const DropOffer& offer, bool again) {
    drop_again_ = again;
    chat_->messages()->dismiss();
    chat_->drop()->offer(offer);
}

void MainWindow::openRecipe() {
    auto* dialog = new QFileDialog(this, tr("Open a recipe"), preferences_->folder("recipes"));
    dialog->setObjectName("recipe_dialog");
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setFileMode(QFileDialog::ExistingFile);
    dialog->setNameFilters({tr("Recipes (*.json)"), tr("All files (*)")});
    connect(dialog, &QFileDialog::fileSelected, this, &MainWindow::readRecipe);
    dialog->open();
}

void MainWindow::readRecipe(const QString& path) {
    preferences_->setFolder("recipes", QFileInfo(path).absolutePath());
    auto recipe = std::make_shared<ergo::Recipe>();
    auto* job = new BackgroundJob(
        [path, recipe](const ergo::Progress&, const ergo::CancelToken&) {
            QFile file(path);
            if (!file.open(QIODevice::ReadOnly) || file.size() > largest_recipe) {
                throw ergo::Error(ergo::ErrorKind::io, "The recipe could not be read.",
                                  {.file = path.toStdString()});
            }
            *recipe =
                ergo::parse_recipe(file.readAll().toStdString(), QFileInfo(path).fileName().toStdString());
        },
        this);
    connect(job, &BackgroundJob::cancelled, job, &QObject::deleteLater);
    connect(job, &BackgroundJob::failed, this, [this, job](const QString& problem) {
        job->deleteLater();
        chat_->changes()->setProblem(problem);
    });
    connect(job, &BackgroundJob::done, this, [this, job, recipe] {
        job->deleteLater();
        chat_->sampling()->setParams(recipe->sampling);
        applySampling();
        QStringList changes;
        for (const std::string& change : recipe->set) {
            changes << QString::fromStdString(change);
        }
        chat_->changes()->setProblem(controller_->setChanges(changes));
    });
}

void MainWindow::saveRecipe() {
    auto* dialog = new QFileDialog(this, tr("Save the recipe"), preferences_->folder("recipes"));
    dialog->setObjectName("recipe_dialog");
    dialog->setAttribute(Qt::WA_DeleteOnClose);
    dialog->setAcceptMode(QFileDialog::AcceptSave);
    dialog->setDefaultSuffix("json");
    dialog->setNameFilters({tr("Recipes (*.json)"), tr("All files (*)")});
    connect(dialog, &QFileDialog::fileSelected, this, [this](const QString& path) {
        preferences_->setFolder("recipes", QFileInfo(path).absolutePath());
        ergo::Recipe recipe;
        for (const QString& change : controller_->changes()) {
            recipe.set.push_back(change.toStdString());
        }
        recipe.sampling = chat_->sampling()->params();
        auto* job = new BackgroundJob(
            [path, text = QByteArray::fromStdString(ergo::write_recipe(recipe))](
                const ergo::Progress&, const ergo::CancelToken& cancel) { writeWhole(text, path, cancel); },
            this);
        connect(job, &BackgroundJob::cancelled, job, &QObject::deleteLater);
        connect(job, &BackgroundJob::failed, this, [this, job](const QString& problem) {
            job->deleteLater();
            chat_->messages()->showError(problem);
        });
        connect(job, &BackgroundJob::done, this, [this, job, path] {
            job->deleteLater();
            chat_->messages()->showNotice(tr("Wrote %1.").arg(path));
        });
    });
    dialog->open();
}

} // namespace ergosphere
