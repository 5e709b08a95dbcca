// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/generate/backend_choice.h"

namespace ergo {

std::string device_kind_text(DeviceKind kind) {
    switch (kind) {
    case DeviceKind::cpu:
        return "CPU";
    case DeviceKind::discrete_gpu:
        return "discrete GPU";
    case DeviceKind::integrated_gpu:
        return "integrated GPU";
    case DeviceKind::virtual_gpu:
        return "GPU of a virtual machine";
    case DeviceKind::software:
        return "software device";
    case DeviceKind::other:
        break;
    }
    return "device of another kind";
}

namespace {

std::string with_article(DeviceKind kind) {
    return (kind == DeviceKind::integrated_gpu ? "an " : "a ") + device_kind_text(kind);
}

} // namespace

BackendChoice choose_backend(std::span<const DeviceInfo> devices,
                             const std::function<std::string(std::size_t device)>& obstacle) {
    std::string reasons;
    const auto against = [&](const DeviceInfo& device, const std::string& why) {
        reasons += (reasons.empty() ? "" : "; ") + device.name + " " + why;
    };
    for (const DeviceKind kind : {DeviceKind::discrete_gpu, DeviceKind::integrated_gpu}) {
        for (std::size_t i = 0; i < devices.size(); ++i) {
            if (devices[i].kind != kind) {
                continue;
            }
            const std::string problem = devices[i].unusable.empty()
                                            ? (obstacle ? obstacle(i) : std::string())
                                            : "cannot be used: " + devices[i].unusable;
            if (problem.empty()) {
                const std::string number = "vulkan:" + std::to_string(i);
                return {number, devices[i].name + " is " + with_article(kind) + " with room for it."};
            }
            against(devices[i], problem);
        }
    }
    for (const DeviceInfo& device : devices) {
        if (device.kind != DeviceKind::discrete_gpu && device.kind != DeviceKind::integrated_gpu) {
            against(device, "is " + with_article(device.kind) + ", taken only by name");
        }
    }
    if (reasons.empty()) {
        return {"cpu", "There is no Vulkan device on this machine."};
    }
    return {"cpu", "No GPU is taken: " + reasons + "."};
}

} // namespace ergo
