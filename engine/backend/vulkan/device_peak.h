// SPDX-License-Identifier: GPL-3.0-or-later
// What a device can do, measured by two plain kernels. A free function; takes some tenths of a second.
#pragma once

#include "engine/backend/vulkan/context.h"

namespace ergo::vulkan {

/// `bytes`: how much is read at a time, as weights are (a cache may serve little).
DevicePeak measure_peak(Context& context, std::uint64_t bytes);

} // namespace ergo::vulkan
