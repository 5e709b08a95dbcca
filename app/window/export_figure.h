// SPDX-License-Identifier: GPL-3.0-or-later
// The work of exporting, for a BackgroundJob: puts the figure together, has it drawn by a second process,
// writes the file whole or not at all. Free functions; any thread but the GUI's.
#pragma once

#include "app/lens/lens.h"
#include "engine/base/cancel.h"

#include <QImage>

namespace ergosphere {

/// The bytes of `format` ("pdf", "svg", "png", "csv").
QByteArray figureBytes(const FigureSnapshot& figure, const FigureSpec& spec, const QString& format,
                       const ergo::Progress& progress, const ergo::CancelToken& cancel);

/// To a file; its extension says the format, "npz" included.
void exportFigure(const FigureSnapshot& figure, const FigureSpec& spec, const QString& path,
                  const ergo::Progress& progress, const ergo::CancelToken& cancel);

/// The picture as PNG. Cancellable while it is encoded.
QByteArray pngBytes(const QImage& image, const ergo::Progress& progress, const ergo::CancelToken& cancel);

/// The file appears whole or not at all. Throws ergo::Error(io).
void writeWhole(const QByteArray& bytes, const QString& path, const ergo::CancelToken& cancel);

} // namespace ergosphere
