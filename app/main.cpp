// SPDX-License-Identifier: GPL-3.0-or-later
// The window's program. `ergo` is the same engine for the command line.
#include "app/chat/chat_store.h"
#include "app/figure/figure_process.h"
#include "app/window/application.h"
#include "app/window/main_window.h"
#include "app/window/preferences.h"
#include "app/window/screenshot.h"
#include "app/window/start_options.h"
#include "engine/base/error.h"
#include "engine/base/mapping_guard.h"

#include <QFileInfo>
#include <QLibraryInfo>
#include <QTimer>
#include <QTranslator>

#include <cstdio>

using namespace ergosphere;

namespace {

int complain(const QString& text, int code) {
    std::fprintf(stderr, "ergosphere: %s\n", qPrintable(text));
    return code;
}

// A relative path means the folder the program was started in.
QString absoluteSource(const QString& model) {
    return model.startsWith("demo:") ? model : QFileInfo(model).absoluteFilePath();
}

/// Qt takes the scale when the application object is made; what the environment says goes first.
void applyScale() {
    QCoreApplication::setApplicationName("Ergosphere");
    const int percent = Preferences().scale();
    if (percent != 100 && !qEnvironmentVariableIsSet("QT_SCALE_FACTOR")) {
        qputenv("QT_SCALE_FACTOR", QByteArray::number(percent / 100.0));
    }
}

int showWindow(int argc, char** argv, const StartOptions& options) {
    if (!options.fresh) {
        applyScale();
    }
    Application application(argc, argv);
    QTranslator own, translator; // Qt's words (buttons, dialogs), then ours
    if (own.load(QLocale(), "qtbase", "_", QLibraryInfo::path(QLibraryInfo::TranslationsPath))) {
        Application::installTranslator(&own);
    }
    if (translator.load(QLocale(), "ergosphere", "_", ":/translations")) {
        Application::installTranslator(&translator);
    }
    Preferences preferences;
    applyTheme(application, options.theme.value_or(preferences.theme()));
    const bool picture = !options.screenshot.isEmpty();
    MainWindow window(&preferences, {picture ? QString() : ChatStore::defaultFile(), !options.fresh,
                                     options.backend, options.threads});
    if (options.size) {
        window.resize(*options.size);
    }
    int code = 0;
    if (picture) {
        auto* run = new ScreenshotRun(&window, options, &window);
        QObject::connect(run, &ScreenshotRun::done, &application, [&](const QString& problem) {
            code = problem.isEmpty() ? 0 : complain(problem, 1);
            QTimer::singleShot(0, &application, &QCoreApplication::quit);
        });
    }
    window.show();
    if (options.lens > 0) {
        window.showLens(options.lens);
    }
    LoadChoice choice;
    choice.types = options.types;
    window.openModel(absoluteSource(options.model), choice);
    const int left = Application::exec();
    return code != 0 ? code : left;
}

} // namespace

int main(int argc, char** argv) {
    if (const std::optional<int> code = figureProcess(argc, argv)) {
        return *code;
    }
    ergo::install_mapping_guard();
    QStringList arguments;
    for (int i = 0; i < argc; ++i) {
        arguments << QString::fromLocal8Bit(argv[i]);
    }
    try {
        const StartOptions options = parseStartOptions(arguments);
        if (options.help) {
            std::fputs(qPrintable(startHelp()), stdout);
            return 0;
        }
        if (options.version) {
            std::puts("ergosphere " ERGOSPHERE_VERSION);
            return 0;
        }
        if (const QString reason = noDisplayReason(arguments); !reason.isEmpty()) {
            return complain(reason, 1);
        }
        return showWindow(argc, argv, options);
    } catch (const ergo::Error& error) {
        return complain(QString::fromUtf8(error.what()), error.kind() == ergo::ErrorKind::usage ? 2 : 1);
    } catch (const std::exception& error) {
        return complain(QString::fromUtf8(error.what()), 1);
    }
}
