// SPDX-License-Identifier: GPL-3.0-or-later
// Pictures of the window, by hand and by a command. GUI thread.
#pragma once

#include "app/window/start_options.h"

#include <QImage>
#include <QObject>
#include <QTimer>

namespace ergosphere {

class MainWindow;

/// The file appears whole or not at all. Throws ergo::Error(io).
void writePng(const QImage& image, const QString& path);

/// `ergosphere --screenshot FILE [--ask TEXT]`: waits for the model, asks, waits until the reply is finished
/// and painted, writes the picture and says how it went.
class ScreenshotRun : public QObject {
    Q_OBJECT

  public:
    ScreenshotRun(MainWindow* window, const StartOptions& options, QObject* parent = nullptr);

  signals:
    /// `problem` is empty when the file is there.
    void done(const QString& problem);

  private:
    void ask();
    void settle();
    void take();
    void finish(const QString& problem);

    MainWindow* window_;
    QString file_, text_;
    QTimer settle_timer_, patience_;
    bool asked_ = false, finished_ = false;
};

} // namespace ergosphere
