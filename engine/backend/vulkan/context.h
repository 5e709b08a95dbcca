// SPDX-License-Identifier: GPL-3.0-or-later
// What all models on one device share. Any thread.
#pragma once

#include "engine/backend/vulkan/device.h"
#include "engine/backend/vulkan/matrices.h"
#include "engine/backend/vulkan/pipelines.h"

namespace ergo::vulkan {

struct Context {
    Context(const VulkanOptions& options, int index)
        : device(options, index), pipelines(device), matrices(device) {}
    Device device;
    Pipelines pipelines; // destroyed first: declared after the device
    Matrices matrices;
};

} // namespace ergo::vulkan
