// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/lab/assignment.h"

#include <algorithm>
#include <limits>

namespace ergo {

std::vector<int> best_assignment(const std::vector<std::vector<double>>& gain) {
    const std::size_t rows = gain.size(), columns = rows == 0 ? 0 : gain[0].size();
    const std::size_t n = std::max(rows, columns); // a square, filled up with zeros
    const auto cost = [&](std::size_t i, std::size_t j) {
        return i < rows && j < columns ? -gain[i][j] : 0.0;
    };
    // index 0 is "none": row of each column, potentials of both
    std::vector<std::size_t> row_of(n + 1, 0), way(n + 1, 0);
    std::vector<double> u(n + 1, 0), v(n + 1, 0);
    for (std::size_t i = 1; i <= n; ++i) {
        row_of[0] = i;
        std::size_t at = 0;
        std::vector<double> least(n + 1, std::numeric_limits<double>::infinity());
        std::vector<bool> used(n + 1, false);
        do {
            used[at] = true;
            double step = std::numeric_limits<double>::infinity();
            std::size_t next = 0;
            for (std::size_t j = 1; j <= n; ++j) {
                if (used[j]) {
                    continue;
                }
                const double reduced = cost(row_of[at] - 1, j - 1) - u[row_of[at]] - v[j];
                if (reduced < least[j]) {
                    least[j] = reduced;
                    way[j] = at;
                }
                if (least[j] < step) {
                    step = least[j];
                    next = j;
                }
            }
            for (std::size_t j = 0; j <= n; ++j) {
                if (used[j]) {
                    u[row_of[j]] += step;
                    v[j] -= step;
                } else {
                    least[j] -= step;
                }
            }
            at = next;
        } while (row_of[at] != 0);
        while (at != 0) {
            row_of[at] = row_of[way[at]];
            at = way[at];
        }
    }
    std::vector<int> column_of(rows, -1);
    for (std::size_t j = 1; j <= columns; ++j) {
        if (row_of[j] >= 1 && row_of[j] <= rows) {
            column_of[row_of[j] - 1] = static_cast<int>(j) - 1;
        }
    }
    return column_of;
}

} // namespace ergo
