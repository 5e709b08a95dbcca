// SPDX-License-Identifier: GPL-3.0-or-later
// The assignment problem: which row takes which column so that the sum is largest. Pure, any thread.
#pragma once

#include <vector>

namespace ergo {

/// `gain` [rows][columns], any numbers. For each row its column, or -1 when there are more rows than columns.
/// O(n³) (Kuhn and Munkres, with potentials).
std::vector<int> best_assignment(const std::vector<std::vector<double>>& gain);

} // namespace ergo
