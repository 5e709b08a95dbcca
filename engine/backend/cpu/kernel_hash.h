// SPDX-License-Identifier: GPL-3.0-or-later
// Which version of the CPU's kernels this program has, for what is measured once and kept. Written by the
// build (engine/kernel_hash.cmake). Any thread.
#pragma once

#include <string_view>

namespace ergo::cpu {

/// Of the sources of this folder and of the thread pool, the compiler and its options: 64 hexadecimal digits.
std::string_view kernel_hash();

} // namespace ergo::cpu
