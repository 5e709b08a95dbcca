// SPDX-License-Identifier: GPL-3.0-or-later
// The CPU backend with choices that make_cpu_backend (backend.h) makes by itself.
#pragma once

#include "engine/backend/backend.h"

namespace ergo::cpu {

/// `threads` as for make_cpu_backend; `vnni`: whether products with whole numbers use AVX-512's VNNI, only
/// where has_vnni() (kernels_quant.h); `pinned`: every thread on a processor of its own while a step runs.
std::shared_ptr<Backend> make_backend(int threads, bool vnni, bool pinned = false);

/// As make_cpu_backend, but pinned.
std::shared_ptr<Backend> make_pinned_backend(int threads);

} // namespace ergo::cpu
