// SPDX-License-Identifier: GPL-3.0-or-later
// An opened MoA model. Immutable, any thread. Source: MoA specification §6.
#pragma once

#include "engine/checkpoint/fit.h"
#include "engine/model/moa/catalogue.h"
#include "engine/model/moa/layout.h"
#include "engine/model/model.h"

#include <memory>
#include <string>
#include <vector>

namespace ergo::moa {

/// How a checkpoint was recognised.
struct Recognition {
    std::string schema;
    std::string why;
    std::vector<SchemaTensor> claimed;
    FitReport report;
    std::vector<std::string> notes; ///< for ModelInfo::problems
};

class MoaModel final : public Model {
  public:
    MoaModel(std::shared_ptr<const Checkpoint> checkpoint, Recognition recognition, Layout layout);

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
    const Backing& backing_of(const Observable& observable) const;
    void describe(const Recognition& recognition);
    void list_sites();
    std::vector<float> violations(const AttentionPart& attention, std::int64_t length,
                                  const std::vector<float>& keys, const std::vector<float>& diagonal) const;

    std::shared_ptr<const Checkpoint> checkpoint_; ///< keeps the weight files mapped
    Layout layout_;
    Catalogue catalogue_;
    ModelInfo info_;
};

} // namespace ergo::moa
