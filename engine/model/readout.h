// SPDX-License-Identifier: GPL-3.0-or-later
// From the buffers of a finished step to an observable's numbers. Called by the session's thread after a run.
#pragma once

#include "engine/backend/backend.h"
#include "engine/model/model.h"

namespace ergo {

/// Numbers of one observable for the rows of one step. Row-wise: shape {rows, …}; pair maps: {heads, rows,
/// keys}.
struct Reading {
    Shape shape;
    std::vector<float> values;
};

/// `rows` and `keys` (= position + rows) of the step just run.
Reading read_output(Executor& executor, Program& program, const ModelPlan::Output& output,
                    const Observable& observable, std::int64_t rows, std::int64_t keys);

} // namespace ergo
