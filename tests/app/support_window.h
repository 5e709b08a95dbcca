// SPDX-License-Identifier: GPL-3.0-or-later
// A real window on a temporary profile, for tests that do what a person does. GUI thread.
#pragma once

#include "app/chat/chat_panel.h"
#include "app/chat/composer.h"
#include "app/chat/transcript.h"
#include "app/window/application.h"
#include "app/window/main_window.h"
#include "app/window/preferences.h"

#include <QTemporaryDir>
#include <QTest>

#include <memory>

/// What one event handler of the GUI thread may take, of CPU time: a frame at 60 Hz. Sanitizers cost a
/// multiple.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr double handler_ms = 16 * 8;
#else
inline constexpr double handler_ms = 16;
#endif

class WindowUnderTest {
  public:
    WindowUnderTest();

    ergosphere::MainWindow& window() { return *window_; }
    ergosphere::ConversationController& controller() { return *window_->controller(); }
    ergosphere::Transcript& transcript() { return *window_->chat()->transcript(); }
    ergosphere::Composer& composer() { return *window_->chat()->composer(); }
    QString path(const QString& name) const { return folder_.filePath(name); }

    /// Opens `source` and waits until it can be talked to.
    bool open(const QString& source);
    /// A folder with a random model of the demo's kind, larger and slower, with the demo's tokenizer: greedy,
    /// it writes until its context of 4096 tokens is full.
    QString slowModel();
    /// Types `text` and Enter with real key events.
    void type(const QString& text);
    /// A key for the window itself, once no dialog is before it any more.
    void press(Qt::Key key, Qt::KeyboardModifiers modifiers = {});
    bool waitIdle(int ms = 60000);
    /// Waits until frames of the last token have arrived.
    bool waitFrames(int ms = 30000);
    /// The child dialog with this object name, once it is shown.
    QWidget* dialog(const QString& name, int ms = 5000);

    static ergosphere::Application& application() { return *static_cast<ergosphere::Application*>(qApp); }

  private:
    QTemporaryDir folder_;
    std::unique_ptr<ergosphere::Preferences> preferences_;
    std::unique_ptr<ergosphere::MainWindow> window_;
};
