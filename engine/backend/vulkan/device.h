// SPDX-License-Identifier: GPL-3.0-or-later
// One logical device with a compute queue and, where it has one of its own for that, a queue that copies.
// Shared by models and executors of any thread; submissions are locked.
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
#include <vector>

namespace ergo::vulkan {

/// Of a product of cooperative matrices: rows x depth by depth x columns (M, K, N of the extension).
struct MatrixShape {
    std::uint32_t rows = 0, columns = 0, depth = 0;
};

/// What the backend needs to know about a physical device.
struct DeviceTraits {
    DeviceInfo info;
    VkPhysicalDeviceLimits limits{};
    VkPhysicalDeviceMemoryProperties memory{};
    std::uint64_t max_allocation = 0; ///< bytes of one VkDeviceMemory
    std::uint32_t subgroup_size = 0;
    std::uint32_t queue_family = 0;
    std::uint32_t copy_family = 0;    ///< of queues that only copy; where there are none, queue_family
    std::uint32_t timestamp_bits = 0; ///< of the queue's clock; 0: it has none
    /// All kernels run with this many invocations a subgroup where the driver lets one ask; 0: its own
    /// choice.
    std::uint32_t fixed_subgroup_size = 0;
    bool full_subgroups = false; ///< and a kernel may ask that none of them is missing
    /// Of four 8-bit numbers each (VK_KHR_shader_integer_dot_product); of a Device: whether kernels use them.
    bool dot_products = false;
    bool fast_dot_products = false; ///< and the device has an instruction for them
    /// Cooperative matrices of 16-bit floats that a subgroup multiplies with sums in float32. info.matrices
    /// says why there are none, info.has_matrices of a Device: whether its kernels may have them.
    std::vector<MatrixShape> matrix_shapes;
    /// What a driver's compiled kernels depend on: vendor, device, driver and the layout of its own cache.
    std::string cache_key;
    /// With what its own cache begins: VkPipelineCacheHeaderVersionOne.
    std::array<std::byte, 32> cache_header{};
};

enum class QueueKind : std::uint8_t {
    compute,
    copy, ///< may be the same queue
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

    /// Whether copies go to a queue of their own.
    bool copies_apart() const { return traits_.copy_family != traits_.queue_family; }

    /// A value of a timeline semaphore.
    struct Moment {
        VkSemaphore semaphore = VK_NULL_HANDLE;
        std::uint64_t value = 0;
    };
    /// Submits `commands`, which begin after `after` (if it has a semaphore) and end with `end`.
    void submit(QueueKind queue, VkCommandBuffer commands, const Moment& after, const Moment& end) const;
    /// Waits until the driver is through with all that was given to `queue`: it may still hold semaphores
    /// that submissions waited for when those are done (Mesa's queues of their own thread do).
    void settle(QueueKind queue) const noexcept;

  private:
    std::unique_ptr<Instance> instance_;
    DeviceTraits traits_;
    std::unique_ptr<VkDevice_T, DestroyDevice> device_; // whoever submitted work has waited for it
    DeviceFunctions functions_;
    VkQueue queue_ = VK_NULL_HANDLE, copy_queue_ = VK_NULL_HANDLE; // one and the same where there is one
    VulkanOptions options_;
    mutable std::atomic<bool> lost_{false};
    mutable std::mutex queue_mutex_;
};

/// A command pool and the semaphore that counts its submissions. Used by one thread at a time.
class Timeline {
  public:
    explicit Timeline(const Device& device, QueueKind queue = QueueKind::compute);
    ~Timeline();
    Timeline(Timeline&&) = delete;

    VkCommandBuffer allocate();
    /// `after`: what another timeline must have reached before, if anything.
    std::uint64_t submit(VkCommandBuffer commands, const Device::Moment& after = {});
    /// Submission `value`, for others to wait for.
    Device::Moment moment(std::uint64_t value) const { return {semaphore_.get(), value}; }
    /// Waits until submission `value` is done. Throws Error(device) when the device is lost.
    void wait(std::uint64_t value) const;

  private:
    const Device& device_;
    QueueKind queue_;
    Owned<VkCommandPool> pool_;
    Owned<VkSemaphore> semaphore_;
    std::uint64_t submitted_ = 0;
};

} // namespace ergo::vulkan
