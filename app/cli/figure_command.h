// SPDX-License-Identifier: GPL-3.0-or-later
// `ergo figure`: the figure that the window exports, drawn without a window.
#pragma once

#include "app/cli/commands.h"

namespace ergo::cli {

Syntax figure_syntax();
int figure_command(const Arguments& arguments, const Context& context);

} // namespace ergo::cli
