// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/screenshot.h"

#include "app/chat/chat_panel.h"
#include "app/chat/composer.h"
#include "app/window/main_window.h"
#include "app/window/message_bar.h"
#include "engine/base/atomic_file.h"
#include "engine/base/error.h"

#include <QBuffer>

#include <algorithm>

namespace ergosphere {

namespace {

constexpr int settle_ms = 700; // after the last change of anything shown
constexpr int patience_ms = 10 * 60 * 1000;

} // namespace

void writePng(const QImage& image, const QString& path) {
    QByteArray bytes;
    QBuffer buffer(&bytes);
    buffer.open(QIODevice::WriteOnly);
    if (!image.save(&buffer, "PNG")) {
        throw ergo::Error(ergo::ErrorKind::resources,
                          "The picture could not be encoded; there may be too little memory.");
    }
    ergo::AtomicFile file(path.toStdString());
    file.write(std::string_view(bytes.constData(), std::size_t(bytes.size())));
    file.commit();
}

ScreenshotRun::ScreenshotRun(MainWindow* window, const StartOptions& options, QObject* parent)
    : QObject(parent), window_(window), file_(options.screenshot), text_(options.ask) {
    settle_timer_.setSingleShot(true);
    settle_timer_.setInterval(settle_ms);
    connect(&settle_timer_, &QTimer::timeout, this, &ScreenshotRun::take);
    patience_.setSingleShot(true);
    connect(&patience_, &QTimer::timeout, this,
            [this] { finish("The reply took longer than ten minutes."); });
    patience_.start(patience_ms);
    ConversationController* controller = window_->controller();
    connect(controller, &ConversationController::modelOpened, this, &ScreenshotRun::ask);
    connect(controller, &ConversationController::openFailed, this,
            [this](const QString&, const QString& text) { finish(text); });
    connect(controller, &ConversationController::failed, this, &ScreenshotRun::finish);
    connect(controller, &ConversationController::replyFinished, this, &ScreenshotRun::settle);
    connect(window_->lensData(), &LensData::changed, this, [this] {
        if (settle_timer_.isActive()) {
            settle_timer_.start();
        }
    });
}

void ScreenshotRun::ask() {
    if (asked_) {
        return;
    }
    asked_ = true;
    if (text_.isEmpty()) {
        settle();
        return;
    }
    window_->chat()->composer()->setText(text_);
    emit window_->chat()->composer()->field()->submitted();
}

void ScreenshotRun::settle() {
    // The last token with a letter or digit, so that the picture shows what a click does.
    const TranscriptDocument& document = window_->controller()->transcript();
    if (!document.turns().isEmpty() && !text_.isEmpty()) {
        for (const TranscriptToken& token : document.turns().last().tokens) {
            const auto word = [](QChar c) { return c.isLetterOrNumber(); };
            if (!token.marker && std::any_of(token.text.begin(), token.text.end(), word)) {
                window_->selection()->setToken(token.position);
            }
        }
    }
    settle_timer_.start();
}

void ScreenshotRun::take() {
    try {
        writePng(window_->grabWindow(window_->devicePixelRatioF()), file_);
        finish({});
    } catch (const std::exception& error) {
        finish(QString::fromUtf8(error.what()));
    }
}

void ScreenshotRun::finish(const QString& problem) {
    if (!std::exchange(finished_, true)) {
        emit done(problem);
    }
}

} // namespace ergosphere
