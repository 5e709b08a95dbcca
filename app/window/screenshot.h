// SPDX-License-Identifier: GPL-3.0-or-later
// Pictures of the window, by hand and by a command. GUI thread.
#pragma once

#include "app/window/start_options.h"

#include <QImage>
#include <QObject>
#include <QPointer>
#include <QTimer>
#include <QWidget>

namespace ergosphere {

class BackgroundJob;
class MainWindow;

/// Paints a widget into an image strip by strip, one short event handler after the other, so that a picture
/// four times the window's size never holds the window up.
class StripGrab : public QObject {
    Q_OBJECT

  public:
    /// `background`: also the widget's own background, not its children alone. Begins with the next turn of
    /// the event loop; `widget` may go away.
    StripGrab(QWidget* widget, double factor, bool background, QObject* parent);

  signals:
    /// A null image: there was too little memory, or the widget went away.
    void done(const QImage& image);

  private:
    void next();

    QPointer<QWidget> widget_;
    QImage image_;
    QTimer timer_;
    bool background_;
    int next_ = 0, strip_; ///< first line not painted yet, lines of the next strip
};

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
    BackgroundJob* job_ = nullptr;
    bool asked_ = false, finished_ = false;
};

} // namespace ergosphere
