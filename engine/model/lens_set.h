// SPDX-License-Identifier: GPL-3.0-or-later
// What the attention, router, ball and depth lenses watch: one list for the window and for `ergo bench --observe
// lenses`.
#pragma once

#include "engine/model/model.h"

namespace ergo {

/// Names of observables when `attention` (an index into ModelInfo::attentions) is on screen (none when it is
/// out of range): that attention's rows, all routers' shares, all depth weights, all balls' kept shares. A name may be absent
/// from a model whose balls test pairs.
std::vector<std::string> lens_observables(const ModelInfo& info, std::size_t attention);

} // namespace ergo
