// SPDX-License-Identifier: GPL-3.0-or-later
// Does this machine compute what the definition says? The family's parity set (small generated models with
// stored reference logits, resources/verify/FAMILY.json) and the model's own weights against the plain
// reference ops, both on the model's backend. Free functions, run on the caller's thread.
#pragma once

#include "engine/generate/opened_model.h"

#include <string>
#include <vector>

namespace ergo {

struct ParityRow {
    std::string what; ///< "2026 as is", "own weights"
    std::string how;  ///< "one pass", "chunks of 7", "token by token", "observables"
    double error = 0; ///< largest difference over largest magnitude
    double tolerance = 0;
    bool passed() const { return error <= tolerance; } // false for NaN
};

struct ParityReport {
    std::string family, source; ///< of the stored numbers, "" when the family has none
    std::vector<ParityRow> rows;
    std::vector<std::string> notes; ///< what could not be compared, and why
    bool passed() const;
    double largest_error() const; ///< of the stored numbers' rows and of own weights, observables aside
};

/// Throws Error(format) when the built-in set is damaged, and what running the model throws.
ParityReport verify_parity(const OpenedModel& opened, const Progress& progress, const CancelToken& cancel);

} // namespace ergo
