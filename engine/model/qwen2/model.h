// SPDX-License-Identifier: GPL-3.0-or-later
// An opened Qwen2-class model. Immutable, any thread. Source: Gravity-2 specification §6 to §8.
#pragma once

#include "engine/checkpoint/schema.h"
#include "engine/model/model.h"
#include "engine/model/qwen2/layout.h"

#include <memory>
#include <string>
#include <vector>

namespace ergo::qwen2 {

/// How a checkpoint was recognised.
struct Recognition {
    std::string schema;
    std::string why;
    std::vector<SchemaTensor> claimed;
    std::vector<std::string> unused; ///< tensors that nothing reads
    std::vector<std::string> problems;
    bool has_masses = false; ///< also when they are not used
};

class Qwen2Model final : public Model {
  public:
    Qwen2Model(std::shared_ptr<const Checkpoint> checkpoint, const Recognition& recognition, Layout layout);

    const ModelInfo& info() const override { return info_; }
    const std::vector<Observable>& observables() const override { return observables_; }
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
    void describe(const Recognition& recognition);

    std::shared_ptr<const Checkpoint> checkpoint_; ///< keeps the weight files mapped
    Layout layout_;
    std::vector<Observable> observables_;
    ModelInfo info_;
};

} // namespace ergo::qwen2
