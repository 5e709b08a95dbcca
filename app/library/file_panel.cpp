// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/library/file_panel.h"

#include "app/library/model_card.h"
#include "app/window/background_job.h"
#include "app/window/progress_row.h"
#include "app/window/theme.h"

#include <QGridLayout>
#include <QLabel>
#include <QPlainTextEdit>
#include <QScrollArea>
#include <QVBoxLayout>

namespace ergosphere {

namespace {

QLabel* selectable(const QString& text, const QFont& font) {
    auto* label = new QLabel(text);
    label->setTextFormat(Qt::PlainText);
    label->setFont(font);
    label->setWordWrap(true);
    label->setTextInteractionFlags(Qt::TextSelectableByMouse);
    return label;
}

} // namespace

FilePanel::FilePanel(const ModelHeaders& headers, QWidget* parent)
    : QWidget(parent), checkpoint_(headers.checkpoint), files_(headers.files),
      work_(std::make_shared<Work>()) {
    auto* content = new QWidget;
    auto* grid = new QGridLayout(content);
    grid->setContentsMargins(0, 8, 8, 8);
    grid->setHorizontalSpacing(16);
    grid->setVerticalSpacing(4);
    grid->setColumnStretch(1, 1);
    int row = 0;
    for (const ergo::FileOnDisk& file : files_) {
        grid->addWidget(selectable(QString::fromStdString(file.name), interfaceFont()), row, 0, Qt::AlignTop);
        auto* size = selectable(byteText(file.bytes), monoFont(11));
        size->setWordWrap(false);
        grid->addWidget(size, row, 1, Qt::AlignTop);
        auto* digest = selectable(tr("SHA-256 is being computed …"), monoFont(11));
        digest->setForegroundRole(QPalette::PlaceholderText);
        digest->setAccessibleName(tr("SHA-256 of %1").arg(QString::fromStdString(file.name)));
        grid->addWidget(digest, row + 1, 0, 1, 2);
        digest_.push_back(digest);
        row += 2;
    }
    grid->setRowStretch(row, 1);
    auto* scroll = new QScrollArea;
    scroll->setWidgetResizable(true);
    scroll->setFrameShape(QFrame::NoFrame);
    scroll->setAccessibleName(tr("Files"));
    scroll->viewport()->setAutoFillBackground(false);
    content->setAutoFillBackground(false);
    scroll->setWidget(content);
    licence_ = new QLabel;
    licence_->setTextFormat(Qt::PlainText);
    licence_->setTextInteractionFlags(Qt::TextSelectableByMouse);
    licence_text_ = new QPlainTextEdit;
    licence_text_->setObjectName("licence_text");
    licence_text_->setAccessibleName(tr("Licence text"));
    licence_text_->setReadOnly(true);
    licence_text_->setTabChangesFocus(true);
    licence_text_->setFont(monoFont(11));
    progress_ = new ProgressRow;
    auto* column = new QVBoxLayout(this);
    column->setContentsMargins(0, 0, 0, 0);
    column->addWidget(scroll, 1);
    column->addWidget(progress_);
    column->addWidget(licence_);
    column->addWidget(licence_text_, 1);
    setLicence({});
    connect(progress_, &ProgressRow::cancelRequested, this, [this] {
        if (job_) {
            job_->cancel();
        }
    });
    start();
}

FilePanel::~FilePanel() {
    delete job_; // before what it works on
}

void FilePanel::setLicence(const ergo::Licence& licence) {
    licence_->setText(licence.name.empty() ? tr("No licence lies with the files.")
                                           : tr("Licence: %1 (%2)")
                                                 .arg(QString::fromStdString(licence.name),
                                                      QString::fromStdString(licence.from)));
    licence_text_->setPlainText(QString::fromStdString(licence.text));
    licence_text_->setVisible(!licence.text.empty());
}

QStringList FilePanel::digests() const {
    const std::lock_guard lock(work_->mutex);
    QStringList known;
    for (const std::string& digest : work_->digests) {
        known << QString::fromStdString(digest);
    }
    return known;
}

void FilePanel::start() {
    job_ = new BackgroundJob(
        [work = work_, checkpoint = checkpoint_, files = files_](const ergo::Progress& progress,
                                                                 const ergo::CancelToken& cancel) {
            const ergo::DigestCache cache(ergo::DigestCache::default_file());
            double before = 0, total = 0;
            for (const ergo::FileOnDisk& file : files) {
                total += double(file.bytes);
            }
            for (const ergo::FileOnDisk& file : files) {
                const auto part = [&](double at, double, const std::string& what) {
                    progress(before + at, total, what);
                };
                std::string digest = ergo::digest_of(*checkpoint, file, cache, part, cancel);
                before += double(file.bytes);
                const std::lock_guard lock(work->mutex);
                work->digests.push_back(std::move(digest));
            }
        },
        this);
    connect(job_, &BackgroundJob::progress, this, [this](const QString& what, double done, double total) {
        takeReady();
        progress_->setProgress(what, done, total);
    });
    const auto over = [this](const QString& instead) {
        progress_->finish();
        takeReady();
        for (std::size_t i = std::size_t(digests().size()); i < digest_.size(); ++i) {
            digest_[i]->setText(instead);
        }
        if (instead.isEmpty()) {
            emit digested();
        }
    };
    connect(job_, &BackgroundJob::done, this, [over] { over({}); });
    connect(job_, &BackgroundJob::cancelled, this, [over] { over(tr("SHA-256 was not computed")); });
    connect(job_, &BackgroundJob::failed, this, over);
}

void FilePanel::takeReady() {
    const QStringList known = digests();
    for (qsizetype i = 0; i < known.size(); ++i) {
        digest_[std::size_t(i)]->setText(known[i]);
    }
}

} // namespace ergosphere
