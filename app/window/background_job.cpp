// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/background_job.h"

#include "engine/base/error.h"

#include <QMetaObject>

namespace ergosphere {

BackgroundJob::BackgroundJob(Work work, QObject* parent)
    : QObject(parent), thread_([this, work = std::move(work)] { run(work); }) {}

BackgroundJob::~BackgroundJob() {
    cancel_.cancel();
    thread_.join();
}

// Only the newest step counts: work that reports thousands of them must not fill the GUI thread's queue.
void BackgroundJob::report(const Step& step) {
    const std::lock_guard lock(mutex_);
    newest_ = step;
    if (std::exchange(told_, true)) {
        return;
    }
    QMetaObject::invokeMethod(
        this,
        [this] {
            Step now;
            {
                const std::lock_guard held(mutex_);
                now = newest_;
                told_ = false;
            }
            emit progress(QString::fromStdString(now.what), now.done, now.total);
        },
        Qt::QueuedConnection);
}

void BackgroundJob::run(const Work& work) {
    const auto later = [this](auto call) { QMetaObject::invokeMethod(this, call, Qt::QueuedConnection); };
    const auto problem = [&](const QString& text) { later([this, text] { emit failed(text); }); };
    try {
        work(
            [this](double share, double total, const std::string& what) {
                report({what, share, total});
            },
            cancel_);
        later([this] { emit done(); });
    } catch (const ergo::Error& error) {
        if (error.kind() == ergo::ErrorKind::cancelled) {
            later([this] { emit cancelled(); });
        } else {
            problem(QString::fromUtf8(error.what()));
        }
    } catch (const std::bad_alloc&) {
        problem(tr("There is not enough memory for this."));
    } catch (const std::exception& error) {
        problem(QString::fromUtf8(error.what()));
    }
}

} // namespace ergosphere
