// SPDX-License-Identifier: GPL-3.0-or-later
// Writes a figure to a file: .pdf, .svg, .png, .csv or .npz (figure_file.h) by the name's extension. The same
// figure gives the same bytes: no dates, no random ids. GUI thread (any platform plugin, offscreen included).
#pragma once

#include "app/figure/figure.h"

namespace ergosphere {

/// The file appears whole or not at all. Throws ergo::Error: usage (extension, sizes, an empty figure), io.
void export_figure(const FigureSpec& spec, const FigureData& data, const QString& path);

/// The bytes of such a file, `format` being "pdf", "svg", "png" or "csv".
QByteArray render_figure(const FigureSpec& spec, const FigureData& data, const QString& format);

} // namespace ergosphere
