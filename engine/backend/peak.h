// SPDX-License-Identifier: GPL-3.0-or-later
// What the machine can do, by short measurements: the measures that speeds are held against. Any thread; each
// takes some tenths of a second on `threads` threads of its own.
#pragma once

#include <cstddef>

namespace ergo {

/// What a device other than the CPU can do, measured by plain kernels on it.
struct DevicePeak {
    double bandwidth = 0;        ///< bytes a second that all its units read together
    double float_operations = 0; ///< float32 operations a second; a multiply-add is two
};

/// Bytes a second that `threads` threads read together from a buffer of `bytes` in large pages where the
/// system gives them (a cache may serve a small one, as it serves small weights). Median of nine passes.
double measure_read_bandwidth(int threads, std::size_t bytes);

/// Float32 operations a second from registers; a multiply-add is two. Median of five.
double measure_float_peak(int threads);

/// 8-bit integer operations a second (products summed in 32 bits) from registers, by the best instruction
/// this program has for them; 0 where it has none.
double measure_int8_peak(int threads);

} // namespace ergo
