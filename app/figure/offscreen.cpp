// SPDX-License-Identifier: GPL-3.0-or-later
#include "app/figure/offscreen.h"

#include <QHashFunctions>

#include <cstdio>
#include <cstring>

namespace ergosphere {

Offscreen::Offscreen(const char* name) {
    QHashSeed::setDeterministicGlobalSeed(); // Qt numbers a PDF's fonts in the order of a hash
    std::strncpy(word_, name, sizeof word_ - 1);
    qputenv("QT_QPA_PLATFORM", "offscreen");
    for (const char* scaling : {"QT_SCALE_FACTOR", "QT_SCREEN_SCALE_FACTORS", "QT_FONT_DPI",
                                "QT_ENABLE_HIGHDPI_SCALING", "QT_USE_PHYSICAL_DPI"}) {
        qunsetenv(scaling); // of somebody's screen
    }
    before_ = qInstallMessageHandler([](QtMsgType type, const QMessageLogContext&, const QString& text) {
        if (type == QtCriticalMsg || type == QtFatalMsg) { // stderr belongs to our one sentence
            std::fprintf(stderr, "%s\n", qPrintable(text));
        }
    });
    if (!QCoreApplication::instance()) {
        application_ = std::make_unique<QApplication>(count_, words_);
    }
}

Offscreen::~Offscreen() {
    application_.reset();
    qInstallMessageHandler(before_);
}

} // namespace ergosphere
