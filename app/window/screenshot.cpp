// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/screenshot.h"

#include "app/chat/chat_panel.h"
#include "app/chat/composer.h"
#include "app/window/background_job.h"
#include "app/window/export_figure.h"
#include "app/window/main_window.h"
#include "app/window/message_bar.h"

#include <QPainter>

#include <algorithm>
#include <ctime>

namespace ergosphere {

namespace {

constexpr double strip_ms = 5; // of CPU time a handler
constexpr int first_strip = 24, smallest_strip = 4;

double threadMilliseconds() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return double(now.tv_sec) * 1e3 + double(now.tv_nsec) * 1e-6;
}

constexpr int settle_ms = 700; // after the last change of anything shown
constexpr int patience_ms = 10 * 60 * 1000;

} // namespace

// ---- strip by strip
// ---------------------------------------------------------------------------------------------

StripGrab::StripGrab(QWidget* widget, double factor, bool background, QObject* parent)
    : QObject(parent), widget_(widget), background_(background), strip_(first_strip) {
    image_ = QImage((QSizeF(widget->size()) * factor).toSize(), QImage::Format_RGB32);
    image_.setDevicePixelRatio(factor);
    timer_.setSingleShot(true);
    connect(&timer_, &QTimer::timeout, this, &StripGrab::next);
    timer_.start(0);
}

void StripGrab::next() {
    if (!widget_ || image_.isNull()) {
        emit done({});
        return;
    }
    const double start = threadMilliseconds();
    double last = start;
    while (next_ < widget_->height()) {
        const QRect lines(0, next_, widget_->width(), qMin(strip_, widget_->height() - next_));
        QPainter painter(&image_);
        painter.fillRect(lines, widget_->palette().color(QPalette::Window));
        widget_->render(&painter, lines.topLeft(), lines,
                        background_ ? QWidget::DrawWindowBackground | QWidget::DrawChildren
                                    : QWidget::RenderFlags(QWidget::DrawChildren));
        painter.end();
        next_ += lines.height();
        const double now = threadMilliseconds();
        strip_ = std::clamp(int(strip_ * strip_ms / std::max(0.1, now - last)), smallest_strip,
                            2 * strip_); // about strip_ms each
        if (now - start + (now - last) > strip_ms) {
            timer_.start(0);
            return;
        }
        last = now;
    }
    image_.setDevicePixelRatio(1);
    emit done(image_);
}

// ---- by a command
// -----------------------------------------------------------------------------------------------

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
    auto* grab = new StripGrab(window_, window_->devicePixelRatioF(), true, this);
    connect(grab, &StripGrab::done, this, [this](const QImage& image) {
        job_ = new BackgroundJob(
            [image, file = file_](const ergo::Progress& progress, const ergo::CancelToken& cancel) {
                writeWhole(pngBytes(image, progress, cancel), file, cancel);
            },
            this);
        connect(job_, &BackgroundJob::done, this, [this] { finish({}); });
        connect(job_, &BackgroundJob::failed, this, &ScreenshotRun::finish);
    });
}

void ScreenshotRun::finish(const QString& problem) {
    if (!std::exchange(finished_, true)) {
        emit done(problem);
    }
}

} // namespace ergosphere
