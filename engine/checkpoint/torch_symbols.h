// SPDX-License-Identifier: GPL-3.0-or-later
// The fixed table of names that a PyTorch file may mention. Internal to this floor. Static data, any thread.
#pragma once

#include "engine/checkpoint/torch_value.h"

#include <string_view>

namespace ergo {

/// nullptr when the name is not in the table. The old module name `__builtin__` counts as `builtins`.
const TorchSymbol* find_torch_symbol(std::string_view module, std::string_view name);

} // namespace ergo
