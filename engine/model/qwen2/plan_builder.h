// SPDX-License-Identifier: GPL-3.0-or-later
// From a layout to a plan: the ops of one step of a Qwen2-class model, with the buffers that subscriptions
// ask for. Source: Gravity-2 specification §6 and §7.
#pragma once

#include "engine/model/model.h"
#include "engine/model/qwen2/layout.h"

#include <vector>

namespace ergo::qwen2 {

/// What can be observed, in the order of the forward pass.
std::vector<Observable> make_observables(const Layout& layout);

/// Throws Error(usage) for a subscription that names no observable or a head that is not there.
ModelPlan build_plan(const Layout& layout, const std::vector<Observable>& observables,
                     const PlanRequest& request);

} // namespace ergo::qwen2
