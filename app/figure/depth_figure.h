// SPDX-License-Identifier: GPL-3.0-or-later
// The weights of all depth routers, from the arrays of a trace. Free functions, any thread.
#pragma once

#include "app/figure/trace_figure.h"

namespace ergosphere {

/// From the arrays "….attn_res.depth", "….mlp_res.depth" and "final.res.depth", [tokens, sources] each: which
/// layers begin a block follows from where a layer's MLP has one source more than its attention. Throws
/// ergo::Error(usage) when there is none or no such token, (format) for arrays of the wrong shape.
DepthFigure depth_figure(const TraceArrays& arrays, const TraceQuery& query);

/// "average over 24 tokens", "token 7, cat".
QString depth_place(qint64 token, const QString& text, qint64 tokens);

} // namespace ergosphere
