// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/library/header_reader.h"

#include "app/library/recent_models.h"
#include "engine/generate/opened_model.h"

#include <QCoreApplication>
#include <QLocale>
#include <QMetaObject>
#include <QPointer>
#include <QRegularExpression>
#include <QThreadPool>

namespace ergosphere {

namespace {

// Model cards begin with a YAML block; its `license:` line is all that is wanted.
QString licenceOf(const ergo::Checkpoint& checkpoint) {
    if (const auto card = checkpoint.side_file("README.md")) {
        static const QRegularExpression line("^license:\\s*(\\S.*?)\\s*$",
                                             QRegularExpression::MultilineOption);
        const auto match =
            line.match(QString::fromUtf8(card->data(), qsizetype(std::min<std::size_t>(card->size(), 4096))));
        if (match.hasMatch()) {
            return QObject::tr("%1 (README.md)").arg(match.captured(1).left(60));
        }
    }
    for (const char* name : {"LICENSE", "LICENSE.md", "LICENSE.txt", "LICENCE"}) {
        if (const auto text = checkpoint.side_file(name)) {
            const QString first =
                QString::fromUtf8(text->data(), qsizetype(std::min<std::size_t>(text->size(), 400)))
                    .trimmed()
                    .section('\n', 0, 0)
                    .simplified();
            return QString("%1 (%2)").arg(first.left(60), name);
        }
    }
    return {};
}

std::shared_ptr<const ergo::Tokenizer> readTokenizer(const ergo::Checkpoint& checkpoint,
                                                     ModelHeaders& headers) {
    try {
        if (const auto tokenizer = ergo::open_tokenizer(checkpoint)) {
            headers.tokenizer = QObject::tr("%1 · %2 tokens")
                                    .arg(QString::fromStdString(tokenizer->kind()),
                                         QLocale().toString(tokenizer->vocab_size()));
            headers.chat_format = QString::fromStdString(ergo::ChatFormat::detect(tokenizer).name());
            return tokenizer;
        }
    } catch (const std::exception& error) {
        headers.tokenizer_problem = QString::fromUtf8(error.what());
    }
    return nullptr;
}

} // namespace

ModelHeaders readHeaders(const QString& source, bool allow_unused) {
    ModelHeaders headers;
    headers.source = source;
    headers.name = modelTitle(source);
    try {
        const auto checkpoint = ergo::open_checkpoint(source.toStdString());
        headers.weight_bytes = checkpoint->weight_bytes();
        headers.weight_files = qsizetype(checkpoint->weight_files().size());
        headers.stored_parameters = checkpoint->parameter_count();
        for (const std::string& warning : checkpoint->warnings()) {
            headers.warnings << QString::fromStdString(warning);
        }
        headers.licence = licenceOf(*checkpoint);
        const auto tokenizer = readTokenizer(*checkpoint, headers);
        ergo::OpenOptions options;
        options.allow_unused = allow_unused;
        const auto model = ergo::open_model(checkpoint, options);
        headers.info = model->info();
        if (tokenizer && headers.info.base_model) {
            headers.chat_format = QString::fromStdString(ergo::ChatFormat::detect(tokenizer, true).name());
        }
        headers.context = std::min(model->max_positions(), headers.info.context);
        headers.memory = model->memory(headers.context);
        headers.opens = true;
    } catch (const ergo::Error& error) {
        headers.problem = QString::fromUtf8(error.what());
        if (!allow_unused && error.where().code == "M-EXTRA") {
            headers.opens_with_unused = readHeaders(source, true).opens;
        }
    } catch (const std::exception& error) {
        headers.problem = QString::fromUtf8(error.what());
    }
    return headers;
}

void HeaderReader::read(const QString& source) {
    QThreadPool::globalInstance()->start([self = QPointer(this), source] {
        ModelHeaders headers = readHeaders(source, false);
        // Closing the card does not wait for the disk, so the reader may be gone; the application is not.
        QMetaObject::invokeMethod(qApp, [self, headers = std::move(headers)] {
            if (self) {
                emit self->done(headers);
            }
        });
    });
}

} // namespace ergosphere
