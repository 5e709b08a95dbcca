// SPDX-License-Identifier: GPL-3.0-or-later
// A figure as a file of its own: a `.npz` with the numbers as arrays and, in the member "figure", the texts
// and the look as JSON ("format", "version": 1). Drawing it again gives the same bytes. Free functions, any
// thread.
#pragma once

#include "app/figure/figure.h"
#include "app/figure/trace_figure.h"

namespace ergosphere {

struct FigureFile {
    FigureSpec spec;
    FigureData data;
};

/// "attention", "router", "heads", "depth".
QString view_name(const FigureData& data);

/// The file appears whole or not at all. Throws ergo::Error(io).
void write_figure_file(const QString& path, const FigureSpec& spec, const FigureData& data);

/// True when the arrays are a figure's, not a trace's.
bool is_figure_file(const TraceArrays& arrays);
/// Throws ergo::Error: format (FIG-FILE) naming the part that is wrong, unsupported (FIG-VERSION) for a newer
/// version.
FigureFile figure_from_file(const TraceArrays& arrays);
FigureFile read_figure_file(const QString& path);

} // namespace ergosphere
