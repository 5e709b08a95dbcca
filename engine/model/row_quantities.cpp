// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/model/row_quantities.h"

#include <algorithm>
#include <array>

namespace ergo {

namespace {

constexpr std::int64_t listed = 8; // RowRequest::top_keys
constexpr std::array<RowQuantity, 4> quantities{{{"entropy", 1, "nats"},
                                                 {"top_keys", listed, "position"},
                                                 {"top_weights", listed, "weight"},
                                                 {"top_rest", 1, "weight"}}};

} // namespace

Shape RowQuantity::shape(std::int64_t heads) const {
    return each == 1 ? Shape{-1, heads} : Shape{-1, heads, each};
}

std::span<const RowQuantity> row_quantities() {
    return quantities;
}

bool wants_row_quantity(const std::string& place, const std::function<bool(const std::string&)>& wanted) {
    return std::ranges::any_of(quantities, [&](const RowQuantity& q) { return wanted(place + q.name); });
}

std::vector<RowOutput> request_row_quantities(
    const std::string& place, std::int64_t heads, const std::function<bool(const std::string&)>& wanted,
    const std::function<BufferId(const std::string&, std::int64_t)>& fresh, RowRequest& rows) {
    std::vector<RowOutput> out;
    if (wanted(place + "entropy")) {
        rows.entropy = fresh(place + "entropy", heads);
        out.push_back({place + "entropy", rows.entropy});
    }
    if (wanted(place + "top_keys") || wanted(place + "top_weights") || wanted(place + "top_rest")) {
        rows.top_keys = fresh(place + "top_keys", heads * listed);
        rows.top_weights = fresh(place + "top_weights", heads * listed);
        out.push_back({place + "top_keys", rows.top_keys});
        out.push_back({place + "top_weights", rows.top_weights});
        out.push_back({place + "top_rest", rows.top_weights, ModelPlan::Finish::rest});
    }
    return out;
}

} // namespace ergo
