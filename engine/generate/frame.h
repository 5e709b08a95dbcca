// SPDX-License-Identifier: GPL-3.0-or-later
// What a step let its readers see. Made by the session's thread, handed over by value through a ring.
#pragma once

#include "engine/model/observable.h"
#include "engine/tensor/tensor.h"

#include <cstdint>
#include <vector>

namespace ergo {

/// One observable's numbers for the rows of one step.
struct Capture {
    std::int32_t observable = 0;     ///< index into Model::observables()
    std::vector<std::int32_t> heads; ///< pair maps: which heads the rows are of, in order; empty: all
    Shape shape;                     ///< row-wise {rows, …}; pair maps {heads, rows, keys}
    std::vector<float> values;
};

/// The rows [position, position + rows) of a session's token log.
struct Frame {
    std::uint64_t session = 0; ///< changes when the log is replaced, so that late frames are told apart
    std::int64_t position = 0;
    std::int32_t rows = 0;
    bool recomputed = false; ///< from a second pass over the same tokens, not from the run that wrote them
    std::vector<Capture> captures;
};

/// The same rows in frames of whole rows, each of at most `most` numbers, or of one row: who takes them one
/// at a time is never held up for long. `observables` are the model's.
std::vector<Frame> in_portions(Frame&& frame, const std::vector<Observable>& observables, std::size_t most);

} // namespace ergo
