// SPDX-License-Identifier: GPL-3.0-or-later
// An opened Kotodama model. Immutable, any thread.
#pragma once

#include "engine/model/kotodama/catalogue.h"
#include "engine/model/kotodama/layout.h"
#include "engine/model/model.h"

#include <memory>
#include <vector>

namespace ergo::kotodama {

class KotodamaModel final : public Model {
  public:
    KotodamaModel(std::shared_ptr<const Checkpoint> checkpoint, Layout layout, ModelInfo info);

    const ModelInfo& info() const override { return info_; }
    const std::vector<Observable>& observables() const override { return catalogue_.observables; }
    std::shared_ptr<const Tables> tables() const override { return layout_.tables; }
    ModelPlan build(const PlanRequest& request) const override;
    std::vector<float> positional(const Observable& observable, std::int64_t begin,
                                  std::int64_t end) const override;
    ParamId param_of(const Observable& observable) const override;
    std::vector<float> derive(const Observable& observable, std::int64_t length,
                              const std::function<std::vector<float>(StateId)>& state,
                              const std::function<std::vector<float>(ParamId)>& param) const override;
    std::int64_t max_positions() const override { return layout_.positions; }

  private:
    void list_sites();

    std::shared_ptr<const Checkpoint> checkpoint_; ///< keeps the weight files mapped
    Layout layout_;
    Catalogue catalogue_;
    ModelInfo info_;
};

} // namespace ergo::kotodama
