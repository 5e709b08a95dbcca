// SPDX-License-Identifier: GPL-3.0-or-later
// Long work away from the GUI thread, with progress and cancel. Owned by the GUI thread; the work has a
// thread of its own and must look at its cancel token at least every 50 ms: destroying the job waits for it.
#pragma once

#include "engine/base/cancel.h"

#include <QObject>
#include <QString>

#include <functional>
#include <mutex>
#include <thread>

namespace ergosphere {

class BackgroundJob : public QObject {
    Q_OBJECT

  public:
    using Work = std::function<void(const ergo::Progress& progress, const ergo::CancelToken& cancel)>;

    /// Begins at once. Errors the work throws become failed(), its cancellation cancelled().
    explicit BackgroundJob(Work work, QObject* parent = nullptr);
    ~BackgroundJob() override;
    void cancel() { cancel_.cancel(); }

  signals:
    // One of done, failed, cancelled comes last.
    void progress(const QString& what, double done, double total);
    void done();
    void failed(const QString& text);
    void cancelled();

  private:
    struct Step {
        std::string what;
        double done = 0, total = 0;
    };
    void report(const Step& step);
    void run(const Work& work);

    ergo::CancelToken cancel_;
    std::mutex mutex_; // guards the next two
    Step newest_;
    bool told_ = false; ///< the GUI thread has been asked to look at newest_
    std::thread thread_;
};

} // namespace ergosphere
