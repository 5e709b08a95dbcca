// SPDX-License-Identifier: GPL-3.0-or-later
// What an attention gives of each of its rows without the row itself: how spread the weights are, where the
// largest lie and what is left for all other keys. Same names in every family. Free functions, any thread.
#pragma once

#include "engine/model/model.h"

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace ergo {

struct RowQuantity {
    const char* name;  ///< "entropy", the last part of an observable's name
    std::int64_t each; ///< numbers a row and head; 1: no axis of its own
    const char* unit;

    /// {-1, heads} or {-1, heads, each}
    Shape shape(std::int64_t heads) const;
};

/// entropy [n, heads]; top_keys and top_weights [n, heads, 8], by falling weight, key -1 and weight 0 where a
/// row has fewer; top_rest [n, heads], the weight of all keys that are not listed.
std::span<const RowQuantity> row_quantities();

/// Whether `wanted` holds for a row quantity of `place` ("layers.3.metric_attention.").
bool wants_row_quantity(const std::string& place, const std::function<bool(const std::string&)>& wanted);

/// One quantity that a reader asked for and the buffer that will hold it.
struct RowOutput {
    std::string observable;
    BufferId buffer;
    ModelPlan::Finish finish = ModelPlan::Finish::none;
};

/// Asks the attention at `place` for the row quantities that are `wanted`, in buffers made by `fresh(name,
/// width)`.
std::vector<RowOutput> request_row_quantities(
    const std::string& place, std::int64_t heads, const std::function<bool(const std::string&)>& wanted,
    const std::function<BufferId(const std::string&, std::int64_t)>& fresh, RowRequest& rows);

} // namespace ergo
