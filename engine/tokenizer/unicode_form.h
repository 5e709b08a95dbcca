// SPDX-License-Identifier: GPL-3.0-or-later
// Unicode normalisation forms as the reference's Unicode 9 has them. Pure functions, any thread.
#pragma once

#include "engine/tokenizer/normalizer.h"

namespace ergo {

/// Appends the normal form of `in` to `out`. O(n log n).
void append_form(const NormalText& in, UnicodeForm form, NormalText& out);

/// Every character below is in all canonical forms and composes with nothing before it.
inline constexpr char32_t first_that_may_change = 0x300;

} // namespace ergo
