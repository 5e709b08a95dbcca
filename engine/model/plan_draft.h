// SPDX-License-Identifier: GPL-3.0-or-later
// What every family's plan builder needs: shared and own buffers, the readers' wishes, and the rows they want
// of an attention. One draft makes one plan, on one thread.
#pragma once

#include "engine/model/model.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ergo {

class PlanDraft {
  public:
    using Finish = ModelPlan::Finish;

    /// Throws Error(usage) for a subscription that names no observable or a head that is not there.
    PlanDraft(const std::vector<Observable>& observables, const PlanRequest& request);

    /// Scratch shared by all who ask for the same name and width.
    BufferId scratch(const std::string& name, std::int64_t width);
    /// A buffer of its own.
    BufferId fresh(const std::string& name, std::int64_t width,
                   BufferInfo::Extent extent = BufferInfo::Extent::rows);
    template <class Body> void add(std::string name, Body body, Guard when = {}) {
        plan_.add({std::move(name), when, std::move(body)});
    }

    bool wants(const std::string& observable) const { return wishes_.contains(observable); }
    /// Answers every reader of `observable`; nothing happens when there is none.
    void give(const std::string& observable, ModelPlan::Output output);
    void give(const std::string& observable, BufferId rows, Finish finish = Finish::none);

    /// The rows that readers want of the attention at `place` ("layers.3."): attention, distance, row
    /// quantities. `finish` makes a distance from a score.
    RowRequest attention_rows(const std::string& place, std::int64_t heads, Finish finish = Finish::distance);

    const PlanRequest& request() const { return request_; }
    /// Ends the plan: a sampler reads the last row, unless those of all rows are wanted.
    void set_logits(BufferId logits);
    /// Validates and hands out the plan; the draft is then empty.
    ModelPlan finish(const Tables& tables);

  private:
    std::vector<std::int32_t> heads_wanted(const std::string& place) const;

    const std::vector<Observable>& observables_;
    const PlanRequest& request_;
    Plan plan_;
    std::map<std::pair<std::string, std::int64_t>, BufferId> pool_;
    std::map<std::string, std::vector<std::size_t>> wishes_; ///< observable name to subscriptions
    std::vector<std::optional<ModelPlan::Output>> outputs_;  ///< one a subscription
};

} // namespace ergo
