// SPDX-License-Identifier: GPL-3.0-or-later
// What the command line asks of the window. Parsed before there is an application, so that --help needs no
// display.
#pragma once

#include "app/library/run_types.h"
#include "app/window/theme.h"

#include <QSize>
#include <QString>
#include <QStringList>

#include <optional>

namespace ergosphere {

struct StartOptions {
    QString model = "demo:moa";
    QString backend;                  ///< empty: as in the settings
    int threads = -1;                 ///< -1: as in the settings
    std::optional<RunTypes> types;    ///< of `model`; nullopt: as it was opened last
    std::optional<ThemeChoice> theme; ///< of this run only
    std::optional<QSize> size;
    QString screenshot; ///< file to write; the program then ends
    QString ask;        ///< sent before the screenshot
    int lens = 0;       ///< 1 …, 0: as saved
    bool fresh = false; ///< ignore the saved layout (screenshots look the same everywhere)
    bool help = false, version = false;
};

/// Throws ergo::Error(usage) in one sentence.
StartOptions parseStartOptions(const QStringList& arguments);
QString startHelp();

/// Why no window can be shown on this machine, empty when one can.
QString noDisplayReason(const QStringList& arguments);

} // namespace ergosphere
