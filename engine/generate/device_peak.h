// SPDX-License-Identifier: GPL-3.0-or-later
// What the device of a backend can do, where it is another than the CPU. A free function, any thread.
#pragma once

#include "engine/backend/backend.h"
#include "engine/backend/peak.h"

#include <optional>

namespace ergo {

/// Measured by plain kernels on the device, reading `bytes` at a time; empty for the CPU. Takes some tenths
/// of a second. Throws Error(resources) when the device has no memory for it.
std::optional<DevicePeak> measure_device_peak(const Backend& backend, std::uint64_t bytes);

} // namespace ergo
