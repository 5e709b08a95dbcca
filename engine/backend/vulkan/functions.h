// SPDX-License-Identifier: GPL-3.0-or-later
// The Vulkan loader, opened at run time, and the tables of functions found through it. Immutable once filled.
#pragma once

#include "engine/backend/vulkan/cooperative_matrix.h"

#include <memory>
#include <string>

namespace ergo::vulkan {

/// libvulkan.so.1, closed with the last owner.
class Library {
  public:
    /// Throws Error(device) when the loader is not installed.
    Library();
    ~Library();
    Library(const Library&) = delete;
    Library& operator=(const Library&) = delete;
    PFN_vkGetInstanceProcAddr get_instance_proc_addr() const { return get_instance_proc_addr_; }

  private:
    void* handle_ = nullptr;
    PFN_vkGetInstanceProcAddr get_instance_proc_addr_ = nullptr;
};

#define ERGO_VULKAN_GLOBAL_FUNCTIONS(X)                                                                      \
    X(vkCreateInstance)                                                                                      \
    X(vkEnumerateInstanceVersion)                                                                            \
    X(vkEnumerateInstanceLayerProperties)

#define ERGO_VULKAN_INSTANCE_FUNCTIONS(X)                                                                    \
    X(vkEnumeratePhysicalDevices)                                                                            \
    X(vkGetPhysicalDeviceProperties)                                                                         \
    X(vkGetPhysicalDeviceProperties2)                                                                        \
    X(vkGetPhysicalDeviceFeatures2)                                                                          \
    X(vkGetPhysicalDeviceMemoryProperties2)                                                                  \
    X(vkEnumerateDeviceExtensionProperties)                                                                  \
    X(vkGetPhysicalDeviceQueueFamilyProperties)                                                              \
    X(vkCreateDevice)                                                                                        \
    X(vkGetDeviceProcAddr)

#define ERGO_VULKAN_DEVICE_FUNCTIONS(X)                                                                      \
    X(vkGetDeviceQueue)                                                                                      \
    X(vkQueueSubmit)                                                                                         \
    X(vkQueueWaitIdle)                                                                                       \
    X(vkCreateBuffer)                                                                                        \
    X(vkDestroyBuffer)                                                                                       \
    X(vkGetBufferMemoryRequirements)                                                                         \
    X(vkGetBufferDeviceAddress)                                                                              \
    X(vkBindBufferMemory)                                                                                    \
    X(vkAllocateMemory)                                                                                      \
    X(vkFreeMemory)                                                                                          \
    X(vkMapMemory)                                                                                           \
    X(vkCreateShaderModule)                                                                                  \
    X(vkDestroyShaderModule)                                                                                 \
    X(vkCreatePipelineCache)                                                                                 \
    X(vkDestroyPipelineCache)                                                                                \
    X(vkGetPipelineCacheData)                                                                                \
    X(vkCreatePipelineLayout)                                                                                \
    X(vkDestroyPipelineLayout)                                                                               \
    X(vkCreateComputePipelines)                                                                              \
    X(vkDestroyPipeline)                                                                                     \
    X(vkCreateCommandPool)                                                                                   \
    X(vkDestroyCommandPool)                                                                                  \
    X(vkAllocateCommandBuffers)                                                                              \
    X(vkBeginCommandBuffer)                                                                                  \
    X(vkEndCommandBuffer)                                                                                    \
    X(vkCmdBindPipeline)                                                                                     \
    X(vkCmdPushConstants)                                                                                    \
    X(vkCmdDispatchIndirect)                                                                                 \
    X(vkCmdPipelineBarrier)                                                                                  \
    X(vkCmdCopyBuffer)                                                                                       \
    X(vkCreateQueryPool)                                                                                     \
    X(vkDestroyQueryPool)                                                                                    \
    X(vkCmdResetQueryPool)                                                                                   \
    X(vkCmdWriteTimestamp)                                                                                   \
    X(vkGetQueryPoolResults)                                                                                 \
    X(vkCreateSemaphore)                                                                                     \
    X(vkDestroySemaphore)                                                                                    \
    X(vkWaitSemaphores)

#define ERGO_VULKAN_DECLARE(name) PFN_##name name = nullptr;

struct GlobalFunctions {
    ERGO_VULKAN_GLOBAL_FUNCTIONS(ERGO_VULKAN_DECLARE)
    /// Throws Error(device) naming a function that is missing, as do the others.
    explicit GlobalFunctions(const Library& library);
};

struct InstanceFunctions {
    ERGO_VULKAN_INSTANCE_FUNCTIONS(ERGO_VULKAN_DECLARE)
    // Only with the debug extension.
    PFN_vkCreateDebugUtilsMessengerEXT vkCreateDebugUtilsMessengerEXT = nullptr;
    PFN_vkDestroyDebugUtilsMessengerEXT vkDestroyDebugUtilsMessengerEXT = nullptr;
    /// Null where no driver knows the extension.
    PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR =
        nullptr;
    InstanceFunctions() = default;
    InstanceFunctions(const Library& library, VkInstance instance, bool debug);
};

struct DeviceFunctions {
    ERGO_VULKAN_DEVICE_FUNCTIONS(ERGO_VULKAN_DECLARE)
    DeviceFunctions() = default;
    DeviceFunctions(const InstanceFunctions& functions, VkDevice device);
};

#undef ERGO_VULKAN_DECLARE

/// Throws when `result` is an error: Error(resources) when memory or handles ran out, Error(device)
/// otherwise. `doing`: what was being done, "recording the plan".
void check(VkResult result, const std::string& doing);

/// "VK_ERROR_DEVICE_LOST"
std::string result_name(VkResult result);

} // namespace ergo::vulkan
