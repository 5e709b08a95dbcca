// SPDX-License-Identifier: GPL-3.0-or-later
// The Vulkan backend. Needs a Vulkan 1.2 driver with buffer device addresses, timeline semaphores and
// subgroup arithmetic; the loader is opened at run time, so a machine without one still runs the program.
// Backends, models and executors keep alive what they need; threads as in engine/backend/backend.h.
#pragma once

#include "engine/backend/backend.h"
#include "engine/backend/diagnostics.h"
#include "engine/backend/peak.h"

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ergo {

namespace vulkan {
struct InstanceFunctions;
struct DeviceFunctions;
} // namespace vulkan

/// The machine's Vulkan devices in the driver's order; empty when there is no loader or no driver. Never
/// throws. A device this backend cannot use says so in `unusable`.
std::vector<DeviceInfo> vulkan_devices();

/// What a model takes in device memory, as Backend::need; needs no device.
MemoryNeed vulkan_need(const Tables& tables, std::int64_t capacity, std::span<const Plan* const> plans);
/// As Backend::held_as; needs no device.
DType vulkan_held_as(DType stored);

struct VulkanOptions : Diagnostics {
    /// Receives each warning and error of the layer, from any thread that uses the backend; also while the
    /// backend is being destroyed.
    std::function<void(const std::string& message)> on_validation;
    /// Moves data through staging memory even where the device's memory can be mapped. For tests.
    bool always_stage = false;
    /// Uses integer dot products also where the device has no instruction for them. For tests.
    bool slow_dot_products = false;
    /// Cooperative matrices of `rows` x `columns`, products over `depth` inputs, held by `invocations` at a
    /// time: computed by invocations of their own on whatever device, also wrong on purpose.
    struct EmulatedMatrices {
        std::uint32_t rows = 16, columns = 16, depth = 16, invocations = 32;
        bool wrong = false;
    };
    /// Instead of the device's. For tests.
    std::optional<EmulatedMatrices> emulated_matrices;
    /// Without cooperative matrices a product counts as taking this many times as long as it does. For tests.
    double plain_handicap = 1;
    /// May replace functions as soon as they have been loaded: tests play devices that are not there.
    std::function<void(vulkan::InstanceFunctions&)> on_instance_functions;
    std::function<void(vulkan::DeviceFunctions&)> on_device_functions;
    /// Where compiled kernels are kept between runs; empty: nowhere. A file that does not fit this device,
    /// driver and program, or is damaged, is as good as none and is replaced.
    std::filesystem::path pipeline_folder;
};

/// The backend on device `device_index` of vulkan_devices(); -1: the first discrete GPU, else the first
/// integrated or virtual one. Throws Error(device) when there is no such device, Error(unsupported) when it
/// lacks a feature.
std::shared_ptr<Backend> make_vulkan_backend(int device_index = -1, const VulkanOptions& options = {});

/// What the device of `backend` can do, reading `bytes` at a time; empty when it is not a Vulkan backend.
/// Takes some tenths of a second. Throws Error(resources) when there is no memory for it.
std::optional<DevicePeak> measure_vulkan_peak(const Backend& backend, std::uint64_t bytes);

} // namespace ergo
