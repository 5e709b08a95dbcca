// SPDX-License-Identifier: GPL-3.0-or-later
// The CPU backend with a choice that make_cpu_backend (backend.h) makes by itself, for tests and timings.
#pragma once

#include "engine/backend/backend.h"

namespace ergo::cpu {

/// `threads` as for make_cpu_backend; `vnni`: whether products with whole numbers use AVX-512's VNNI, only
/// where has_vnni() (kernels_quant.h).
std::shared_ptr<Backend> make_backend(int threads, bool vnni);

} // namespace ergo::cpu
