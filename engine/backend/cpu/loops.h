// SPDX-License-Identifier: GPL-3.0-or-later
// How the ops share their outputs among the pool's threads.
#pragma once

#include "engine/backend/cpu/cpu_op.h"

#include <algorithm>

namespace ergo::cpu {

/// Work below this many multiply-adds a piece is not worth another thread's attention.
inline constexpr std::int64_t piece_work = 32768;

inline std::int64_t grain_for(std::int64_t work_each, std::int64_t multiple = 1) {
    const std::int64_t least = std::max<std::int64_t>(1, piece_work / std::max<std::int64_t>(work_each, 1));
    return (least + multiple - 1) / multiple * multiple;
}

/// body(row, worker) for every row to compute; `work_each` in multiply-adds.
template <class Body>
void for_rows(StepContext& context, std::int64_t work_each, const Body& body, std::int64_t multiple = 1) {
    context.session.pool->parallel_for(static_cast<std::int64_t>(context.rows.size()),
                                       grain_for(work_each, multiple),
                                       [&](std::int64_t begin, std::int64_t end, int worker) {
                                           for (std::int64_t i = begin; i < end; ++i) {
                                               body(context.rows[static_cast<std::size_t>(i)], worker);
                                           }
                                       });
}

} // namespace ergo::cpu
