// SPDX-License-Identifier: GPL-3.0-or-later
// What became of cooperative matrices, in words.
#pragma once

#include "engine/backend/matrix_use.h"

#include <string>

namespace ergo::cli {

/// One or two sentences; empty where there is nothing to tell.
std::string matrices_text(const MatrixUse& use);

} // namespace ergo::cli
