// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/device_peak.h"

#ifdef ERGO_HAS_VULKAN
#include "engine/backend/vulkan/vulkan_backend.h"
#endif

namespace ergo {

std::optional<DevicePeak> measure_device_peak([[maybe_unused]] const Backend& backend,
                                              [[maybe_unused]] std::uint64_t bytes) {
#ifdef ERGO_HAS_VULKAN
    return measure_vulkan_peak(backend, bytes);
#else
    return {};
#endif
}

} // namespace ergo
