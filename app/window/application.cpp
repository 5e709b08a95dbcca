// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/window/application.h"

#include "app/window/theme.h"

#include <QThread>

namespace ergosphere {

Application::Application(int& argc, char** argv) : QApplication(argc, argv) {
    setApplicationName("Ergosphere");
    setApplicationDisplayName("Ergosphere");
    setApplicationVersion(ERGOSPHERE_VERSION);
    rememberSystemTheme(*this);
}

bool Application::notify(QObject* receiver, QEvent* event) {
    if (QThread::currentThread() != thread()) { // other threads' objects are delivered here too
        return QApplication::notify(receiver, event);
    }
    const GuiProbe::Scope scope(probe_, receiver, event);
    try {
        return QApplication::notify(receiver, event);
    } catch (const std::exception& error) {
        emit unexpected(QString::fromUtf8(error.what()));
        return false;
    }
}

} // namespace ergosphere
