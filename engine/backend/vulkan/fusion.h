// SPDX-License-Identifier: GPL-3.0-or-later
// Which ops of a plan are computed by one dispatch: products that share their input, the two products of a
// gate, a product and the residual it is added to, a norm and what reads or writes its row, rotations and
// writes of states. Pure; made once a program.
#pragma once

#include "engine/backend/plan.h"
#include "engine/backend/vulkan/weights.h"

#include <cstddef>
#include <functional>
#include <vector>

namespace ergo::vulkan {

/// Products of one row of inputs. Alone, or with one of: gate, sum, more products.
struct Products {
    const Norm* norm = nullptr; ///< of the input; its own output is not written
    std::vector<const Linear*> linears;
    const Gate* gate = nullptr; ///< out = act(first) * second, which are not written themselves
    const Mix* sum = nullptr;   ///< out = residual + the product, which is not written itself
};

/// Heads rotated, scaled and written elsewhere; each from a row of the step.
struct Turns {
    struct One {
        const Rotate* rotate = nullptr; // one of the three
        const AppendKeyValue* key_value = nullptr;
        const Append* append = nullptr;
        const Norm* norm = nullptr; ///< of the heads of the row (of the keys), which is not written itself
    };
    std::vector<One> all;
};

/// What is computed at one place.
struct Step {
    std::vector<std::size_t> ops; ///< of the plan, ascending. The last gives the guard
    Products products;            ///< when it has products
    Turns turns;                  ///< when it has any
    const Norm* norm = nullptr;   ///< follows the Mix or DepthRoute that is the first op
};

/// One step an op, in the plan's order.
std::vector<Step> steps_as_planned(const Plan& plan);
/// Joined where that changes no number that is read outside of the step. `stored`: how a matrix lies.
std::vector<Step> joined_steps(const Plan& plan, const std::function<Stored(WeightId)>& stored);

} // namespace ergo::vulkan
