// SPDX-License-Identifier: GPL-3.0-or-later
// What `--backend auto` decides, and why. Plain functions of plain data, any thread.
#pragma once

#include "engine/backend/backend.h"

#include <functional>
#include <span>
#include <string>

namespace ergo {

struct BackendChoice {
    std::string backend; ///< "cpu", "vulkan:0", "vulkan:0+cpu" (reads, writes): as --backend takes it
    std::string reason;  ///< one sentence for people
};

/// A discrete GPU before an integrated one, in the driver's order, if `obstacle(its index)` is empty; else
/// the CPU. Software devices and GPUs of virtual machines are only taken by name. `devices` is
/// vulkan_devices(); `obstacle` says what speaks against a device ("needs 9.1 GB, 4.0 GB can be had").
BackendChoice choose_backend(std::span<const DeviceInfo> devices,
                             const std::function<std::string(std::size_t device)>& obstacle);

/// "discrete GPU", "software device", …
std::string device_kind_text(DeviceKind kind);

} // namespace ergo
