// SPDX-License-Identifier: GPL-3.0-or-later
// What a text's predictability owes to each part of a model: one evaluation for every intervention of a
// grid. Free functions, run on the caller's thread; long ones can be cancelled.
#pragma once

#include "engine/lab/evaluate.h"

#include <string>
#include <vector>

namespace ergo {

/// One intervention, as `--set` takes it.
struct Variant {
    std::string name; ///< for people: "layer 0 without MetricMH"
    std::vector<std::string> set;
};

/// The variants that `spec` asks for, a list separated by commas:
///   heads     each attention head silenced
///   paths     each routed path removed
///   topk      every router's number of paths, 1 … all
///   balls     no ball prunes anything
///   metric    the score's metric swapped; dot products instead of gravity
///   masses    all gravity masses times 0, 0.5 and 2
///   depth     each finished block of layers taken from every depth router
///   NAME=A|B  each value in turn, NAME as --set takes it (globs, [index], knob.NAME); NAME*=A|B scales
/// An empty spec means all but heads, as far as the model has them, and heads where it has none of these. Throws Error(usage) for an item that is neither, or that the model has nothing of.
std::vector<Variant> ablation_grid(const Model& model, const std::string& spec);

struct AblationRow {
    Variant variant;
    Evaluation result;   ///< tokens = 0 when `problem` says why it could not be run
    std::string problem; ///< e.g. the checkpoint lacks what another metric needs
};

struct Ablation {
    Evaluation baseline; ///< the model as it was opened, interventions of its own included
    std::vector<AblationRow> rows;
};

/// `options` are those `opened` was opened with: a change of structure opens the model again with them.
/// Throws as evaluate() does for the baseline, and Error(usage) for a variant that names nothing.
Ablation ablate(const OpenedModel& opened, const OpenModelOptions& options, const EvaluationRequest& request,
                const std::vector<Variant>& grid, const Progress& progress, const CancelToken& cancel);

} // namespace ergo
