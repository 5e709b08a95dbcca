// SPDX-License-Identifier: GPL-3.0-or-later
// Figures drawn in a process of their own. What draws them is a widget, which would have to live on the GUI
// thread of a window; a second process of the same program draws for as long as it takes, and can be ended at
// any moment. The window's program calls figureProcess() first thing in main().
#pragma once

#include "app/figure/figure.h"
#include "engine/base/cancel.h"

#include <QByteArray>

#include <optional>

namespace ergosphere {

/// When this process was started to draw a figure: draws it, and gives the exit code.
std::optional<int> figureProcess(int argc, char** argv);

/// What render_figure gives, made by a second process of the running program. Blocks: for any thread but the
/// GUI's. Throws ergo::Error: those of render_figure, cancelled (at most 50 ms later), resources when the
/// process cannot be started.
QByteArray renderFigureApart(const FigureSpec& spec, const FigureData& data, const QString& format,
                             const ergo::Progress& progress, const ergo::CancelToken& cancel);

} // namespace ergosphere
