// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/library/header_reader.h"

#include "app/library/recent_models.h"
#include "engine/generate/opened_model.h"

#include <QCoreApplication>
#include <QLocale>
#include <QMetaObject>
#include <QPointer>
#include <QThreadPool>

namespace ergosphere {

namespace {

void takeModel(std::shared_ptr<const ergo::Model> model, ModelHeaders& headers) {
    headers.info = model->info();
    headers.context = std::min(model->max_positions(), headers.info.context);
    headers.planner = std::make_shared<ergo::MemoryPlanner>(model, ergo::has_tokenizer(*headers.checkpoint));
    headers.hosts = {ergo::cpu_memory_host(1)}; // no helpers: only its arithmetic is wanted
    headers.model = std::move(model);
}

void recognise(ModelHeaders& headers) {
    try {
        takeModel(ergo::open_model(headers.checkpoint, {}), headers);
        headers.opens = true;
    } catch (const ergo::Error& error) {
        headers.problem = QString::fromUtf8(error.what());
        if (error.where().code == "M-EXTRA") { // all that is wanted is there, and more
            headers.insisting.allow_unused = true;
        } else if (error.where().code == "G-MASS-NAME") {
            headers.insisting.knobs["attention"] = "dot";
        } else {
            return;
        }
        try {
            takeModel(ergo::open_model(headers.checkpoint, headers.insisting), headers);
            headers.opens_anyway = true;
        } catch (const ergo::Error&) { // the first report is the one that counts
        }
    }
}

/// A tokenizer that is given to a model must fit it before the card offers to load them together.
void checkTokenizer(ModelHeaders& headers) {
    if (!headers.model || !headers.checkpoint->attached(ergo::AttachmentKind::tokenizer)) {
        return;
    }
    try {
        std::vector<std::string> notes;
        (void)ergo::open_tokenizer(*headers.checkpoint, headers.info, notes);
    } catch (const ergo::Error& error) {
        headers.opens = headers.opens_anyway = false;
        headers.problem = QString::fromUtf8(error.what());
    }
}

} // namespace

ModelHeaders readHeaders(const CardRequest& request, const ergo::Progress& progress,
                         const ergo::CancelToken& cancel) {
    ModelHeaders headers;
    headers.source = request.source;
    headers.name = modelTitle(request.source);
    try {
        if (request.checkpoint) {
            request.checkpoint->check_unchanged();
        }
        headers.checkpoint = ergo::Checkpoint::with(
            request.checkpoint ? request.checkpoint
                               : ergo::open_checkpoint(request.source.toStdString(), progress, cancel),
            request.parts);
        const ergo::Checkpoint& checkpoint = *headers.checkpoint;
        headers.weight_bytes = checkpoint.weight_bytes();
        headers.files = ergo::weight_files(checkpoint);
        headers.stored_parameters = checkpoint.parameter_count();
        for (const std::string& warning : checkpoint.warnings()) {
            headers.warnings << QString::fromStdString(warning);
        }
        headers.outline = outlineOf(headers.checkpoint);
        recognise(headers);
        checkTokenizer(headers);
    } catch (const std::exception& error) {
        headers.problem = QString::fromUtf8(error.what());
    }
    return headers;
}

void readMore(ModelHeaders& headers) {
    headers.more = true;
    if (!headers.checkpoint) {
        return;
    }
    headers.licence = ergo::find_licence(*headers.checkpoint);
    try {
        std::vector<std::string> notes;
        const auto tokenizer = headers.model ? ergo::open_tokenizer(*headers.checkpoint, headers.info, notes)
                                             : ergo::open_tokenizer(*headers.checkpoint);
        for (const std::string& note : notes) {
            headers.tokenizer_notes << QString::fromStdString(note);
        }
        if (tokenizer) {
            headers.tokenizer = QObject::tr("%1 · %2 tokens")
                                    .arg(QString::fromStdString(tokenizer->kind()),
                                         QLocale().toString(tokenizer->vocab_size()));
            const auto chat = ergo::ChatFormat::detect(tokenizer, headers.info.base_model);
            headers.chat_format = QString::fromStdString(chat.name());
            if (!chat.problem().empty()) {
                headers.chat_format += "\n" + QString::fromStdString(chat.problem());
            }
        }
    } catch (const std::exception& error) {
        headers.tokenizer_problem = QString::fromUtf8(error.what());
    }
}

void HeaderReader::read(const CardRequest& request) {
    QThreadPool::globalInstance()->start([self = QPointer(this), request, cancel = cancel_] {
        // Closing the card does not wait for the disk, so the reader may be gone; the application is not.
        const auto tell = [&self](const ModelHeaders& headers) {
            QMetaObject::invokeMethod(qApp, [self, headers] {
                if (self) {
                    headers.more ? emit self->more(headers) : emit self->headers(headers);
                }
            });
        };
        const auto step = [&self](double done, double total, const std::string& what) {
            QMetaObject::invokeMethod(qApp, [self, done, total, words = QString::fromStdString(what)] {
                if (self) {
                    emit self->progress(words, done, total);
                }
            });
        };
        ModelHeaders headers = readHeaders(request, step, cancel);
        tell(headers);
        readMore(headers);
        tell(headers);
        if (headers.planner) { // looking for devices takes longest
            QMetaObject::invokeMethod(qApp, [self, hosts = ergo::memory_hosts(1)] {
                if (self) {
                    emit self->devices(hosts);
                }
            });
        }
    });
}

} // namespace ergosphere
