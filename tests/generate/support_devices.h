// SPDX-License-Identifier: GPL-3.0-or-later
// Opening the demo on this machine's devices, with faults where a test wants them.
#pragma once

#include "engine/generate/opened_model.h"

#include <optional>
#include <string>
#include <vector>

namespace ergo::test {

/// "vulkan:N" of the first software device; empty where there is none.
inline std::string software_backend() {
    const std::vector<DeviceInfo> devices = all_devices(); // the CPU first
    for (std::size_t i = 1; i < devices.size(); ++i) {
        if (devices[i].software) {
            return "vulkan:" + std::to_string(i - 1);
        }
    }
    return {};
}

inline OpenModelOptions on(const std::string& backend, std::optional<DeviceFault> fault = {}) {
    OpenModelOptions options;
    options.backend = backend;
    options.context = 256;
    options.diagnostics.fault = fault;
    return options;
}

} // namespace ergo::test
