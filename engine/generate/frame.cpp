// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/frame.h"

#include <algorithm>

namespace ergo {

namespace {

/// Rows [first, first + rows) of a capture.
Capture portion_of(const Capture& all, bool pair_map, std::int64_t first, std::int64_t rows) {
    Capture some{all.observable, all.heads, all.shape, {}};
    const std::size_t axis = pair_map ? 1 : 0;
    some.shape[axis] = rows;
    const std::int64_t maps = pair_map ? all.shape[0] : 1, height = all.shape[axis];
    const std::int64_t width = maps * height == 0 ? 0 : element_count(all.shape) / (maps * height);
    some.values.reserve(static_cast<std::size_t>(maps * rows * width));
    for (std::int64_t map = 0; map < maps; ++map) {
        const auto from = all.values.begin() + (map * height + first) * width;
        some.values.insert(some.values.end(), from, from + rows * width);
    }
    return some;
}

} // namespace

std::vector<Frame> in_portions(Frame&& frame, const std::vector<Observable>& observables, std::size_t most) {
    std::size_t values = 0;
    for (const Capture& capture : frame.captures) {
        values += capture.values.size();
    }
    std::vector<Frame> portions;
    if (values <= most || frame.rows <= 1) {
        portions.push_back(std::move(frame));
        return portions;
    }
    const std::size_t a_row = values / static_cast<std::size_t>(frame.rows);
    const auto together =
        static_cast<std::int32_t>(std::max<std::size_t>(1, most / std::max<std::size_t>(1, a_row)));
    for (std::int32_t first = 0; first < frame.rows; first += together) {
        const std::int32_t rows = std::min(together, frame.rows - first);
        Frame& portion =
            portions.emplace_back(Frame{frame.session, frame.position + first, rows, frame.recomputed, {}});
        for (const Capture& capture : frame.captures) {
            const Observable& what = observables.at(static_cast<std::size_t>(capture.observable));
            const bool pair_map = what.source == ObservableSource::pair_row;
            if (capture.shape.at(pair_map ? 1 : 0) == frame.rows) {
                portion.captures.push_back(portion_of(capture, pair_map, first, rows));
            } else if (first + rows == frame.rows) { // not of every row: of the last one
                portion.captures.push_back(capture);
            }
        }
    }
    return portions;
}

} // namespace ergo
