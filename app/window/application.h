// SPDX-License-Identifier: GPL-3.0-or-later
// QApplication that measures its own event handlers and turns what escapes from one into a message instead of
// an abort. One a process; GUI thread.
#pragma once

#include "app/window/gui_probe.h"

#include <QApplication>

namespace ergosphere {

class Application : public QApplication {
    Q_OBJECT

  public:
    Application(int& argc, char** argv);

    GuiProbe& probe() { return probe_; }
    bool notify(QObject* receiver, QEvent* event) override;

  signals:
    /// An exception left an event handler: a defect, shown and survived.
    void unexpected(const QString& text);

  private:
    GuiProbe probe_;
};

} // namespace ergosphere
