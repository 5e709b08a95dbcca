// SPDX-License-Identifier: GPL-3.0-or-later
// A Vulkan instance with, on request, the validation layer and a messenger. Immutable after construction;
// shared by what is made from it.
#pragma once

#include "engine/backend/vulkan/functions.h"
#include "engine/backend/vulkan/vulkan_backend.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ergo::vulkan {

struct DestroyInstance {
    PFN_vkDestroyInstance destroy = nullptr;
    void operator()(VkInstance instance) const { destroy(instance, nullptr); }
};
struct DestroyMessenger {
    VkInstance instance = VK_NULL_HANDLE;
    PFN_vkDestroyDebugUtilsMessengerEXT destroy = nullptr;
    void operator()(VkDebugUtilsMessengerEXT messenger) const { destroy(instance, messenger, nullptr); }
};

class Instance {
  public:
    /// Throws Error(device) without a loader or driver, Error(unsupported) without the layer asked for.
    explicit Instance(const VulkanOptions& options);

    const InstanceFunctions& functions() const { return functions_; }
    std::vector<VkPhysicalDevice> physical_devices() const;

  private:
    // In the order in which they depend on each other; destroyed from below.
    std::unique_ptr<Library> library_;
    std::unique_ptr<std::function<void(const std::string&)>> on_message_; // its address is the messenger's
    std::unique_ptr<VkInstance_T, DestroyInstance> instance_;
    InstanceFunctions functions_;
    std::unique_ptr<VkDebugUtilsMessengerEXT_T, DestroyMessenger> messenger_;
};

} // namespace ergo::vulkan
