// SPDX-License-Identifier: GPL-3.0-or-later
// Figures from the arrays of a trace (`ergo trace`), by the observables' names. Free functions, any thread.
#pragma once

#include "app/figure/figure.h"
#include "app/figure/weight_scale.h"
#include "engine/tensor/npy.h"

#include <map>
#include <string>

namespace ergosphere {

using TraceArrays = std::map<std::string, ergo::NpyArray>;

/// What of a trace to draw.
struct TraceQuery {
    std::string view;  ///< "attention", "router", "balls", "alpha", "mass", "drift", "horizon", "depth"
    std::string stage; ///< attention: "layers.0", "lm_head"; empty: the first that has attention
    std::string site;  ///< attention: "metric_attention"; empty: the stage's first
    int head = -1;     ///< attention: -1 averages all heads
    qint64 token = -1; ///< depth: of this position; -1: the average over all tokens
    /// attention: as weights, or relative to looking at all keys alike (1: as uniform; logarithm: 0)
    WeightScale scale = WeightScale::weight;
    double softening = 0.1; ///< horizon: the ε of the law
    QStringList tokens;     ///< texts for the axes; empty: the ids of "tokens", else positions
};

/// Throws ergo::Error(usage) naming what the trace lacks and what it has, (format) for arrays of the wrong
/// shape.
FigureData figure_from_trace(const TraceArrays& arrays, const TraceQuery& query);

/// "layers.3" → "layer 3", "lm_head" → "LM head".
QString stage_title(const std::string& stage);
/// "metric_attention" → "MetricMH"; unknown ones as they are.
QString site_title(const std::string& site);
/// "layer 3 · MetricMQA · head 5", "… · all heads".
QString attention_place(const QString& site_label, int head);

} // namespace ergosphere
