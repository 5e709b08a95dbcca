// SPDX-License-Identifier: GPL-3.0-or-later
// One logical device with one compute queue. Shared by models and executors of any thread; submissions are
// locked.
#pragma once

#include "engine/backend/vulkan/functions.h"
#include "engine/backend/vulkan/instance.h"
#include "engine/backend/vulkan/owned.h"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace ergo::vulkan {

/// What the backend needs to know about a physical device.
struct DeviceTraits {
    DeviceInfo info;
    VkPhysicalDeviceLimits limits{};
    VkPhysicalDeviceMemoryProperties memory{};
    std::uint64_t max_allocation = 0; ///< bytes of one VkDeviceMemory
    std::uint32_t subgroup_size = 0;
    std::uint32_t queue_family = 0;
    std::uint32_t timestamp_bits = 0; ///< of the queue's clock; 0: it has none
    /// All kernels run with this many invocations a subgroup where the driver lets one ask; 0: its own
    /// choice.
    std::uint32_t fixed_subgroup_size = 0;
    /// What a driver's compiled kernels depend on: vendor, device, driver and the layout of its own cache.
    std::string cache_key;
    /// With what its own cache begins: VkPipelineCacheHeaderVersionOne.
    std::array<std::byte, 32> cache_header{};
};

DeviceTraits inspect(const Instance& instance, VkPhysicalDevice device);

struct DestroyDevice {
    PFN_vkDestroyDevice destroy = nullptr;
    void operator()(VkDevice device) const { destroy(device, nullptr); }
};

class Device {
  public:
    /// `index` as in make_vulkan_backend.
    Device(const VulkanOptions& options, int index);

    VkDevice get() const { return device_.get(); }
    const DeviceFunctions& functions() const { return functions_; }
    const DeviceTraits& traits() const { return traits_; }
    const VulkanOptions& options() const { return options_; }
    /// Whether the device is gone (or a fault says so): nothing is given to it any more.
    void lose() const { lost_.store(true, std::memory_order_relaxed); }
    /// Throws Error(device, V-LOST) when it is gone.
    void check_there() const;

    /// Submits `commands`, signalling `semaphore` with `value`.
    void submit(VkCommandBuffer commands, VkSemaphore semaphore, std::uint64_t value) const;

  private:
    std::unique_ptr<Instance> instance_;
    DeviceTraits traits_;
    std::unique_ptr<VkDevice_T, DestroyDevice> device_; // whoever submitted work has waited for it
    DeviceFunctions functions_;
    VkQueue queue_ = VK_NULL_HANDLE;
    VulkanOptions options_;
    mutable std::atomic<bool> lost_{false};
    mutable std::mutex queue_mutex_;
};

/// A command pool and the semaphore that counts its submissions. Used by one thread at a time.
class Timeline {
  public:
    explicit Timeline(const Device& device);
    ~Timeline();
    Timeline(Timeline&&) = delete;

    VkCommandBuffer allocate();
    std::uint64_t submit(VkCommandBuffer commands);
    /// Waits until submission `value` is done. Throws Error(device) when the device is lost.
    void wait(std::uint64_t value) const;

  private:
    const Device& device_;
    Owned<VkCommandPool> pool_;
    Owned<VkSemaphore> semaphore_;
    std::uint64_t submitted_ = 0;
};

} // namespace ergo::vulkan
