// SPDX-License-Identifier: GPL-3.0-or-later
// From a layout to a plan: the ops of one step of a Kotodama model. One builder builds one plan, on one
// thread. Source: Kotodama specification §2.
#pragma once

#include "engine/model/kotodama/catalogue.h"
#include "engine/model/kotodama/layout.h"
#include "engine/model/plan_draft.h"

#include <string>
#include <vector>

namespace ergo::kotodama {

class PlanBuilder {
  public:
    PlanBuilder(const Layout& layout, const Catalogue& catalogue, const PlanRequest& request)
        : layout_(layout), draft_(catalogue.observables, request) {}

    /// Throws Error(usage) as PlanDraft does.
    ModelPlan build();

  private:
    void layer(const LayerPart& part);
    void attention(const LayerPart& part, BufferId in);
    void append_keys(const LayerPart& part, BufferId key, BufferId value);
    void ffn(const LayerPart& part, BufferId in);
    void head();
    BufferId route(const RoutePart& part, BufferInfo::Extent extent = BufferInfo::Extent::rows);
    BufferId norm(const std::string& name, BufferId in, WeightId weight);
    void head_norm(const std::string& name, BufferId in_place, WeightId weight, std::int64_t heads);
    BufferId linear(const std::string& name, BufferId in, WeightId weight, const std::string& out,
                    std::int64_t outputs);
    /// The running sum takes in what a sub-block's last matrix makes of `in`.
    void contribute(const std::string& name, BufferId in, WeightId weight);

    const Layout& layout_;
    PlanDraft draft_;
    std::vector<BufferId> closed_; ///< finished blocks, in order
    BufferId open_;                ///< the running sum; none behind a boundary, where it starts from zero
    bool open_is_read_ = false;    ///< a reader wants open_ as it is
};

} // namespace ergo::kotodama
