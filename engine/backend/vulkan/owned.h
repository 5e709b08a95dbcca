// SPDX-License-Identifier: GPL-3.0-or-later
// Move-only owner of one Vulkan handle made from a device. The device must outlive it.
#pragma once

#include "engine/backend/vulkan/functions.h"

#include <utility>

namespace ergo::vulkan {

template <class T> class Owned {
  public:
    using Destroy = void(VKAPI_PTR*)(VkDevice, T, const VkAllocationCallbacks*);

    Owned() = default;
    Owned(VkDevice device, T handle, Destroy destroy) : device_(device), handle_(handle), destroy_(destroy) {}
    Owned(Owned&& other) noexcept
        : device_(other.device_), handle_(std::exchange(other.handle_, VK_NULL_HANDLE)),
          destroy_(other.destroy_) {}
    Owned& operator=(Owned&& other) noexcept {
        std::swap(device_, other.device_);
        std::swap(handle_, other.handle_);
        std::swap(destroy_, other.destroy_);
        return *this;
    }
    ~Owned() {
        if (handle_ != VK_NULL_HANDLE) {
            destroy_(device_, handle_, nullptr);
        }
    }
    T get() const { return handle_; }

  private:
    VkDevice device_ = VK_NULL_HANDLE;
    T handle_ = VK_NULL_HANDLE;
    Destroy destroy_ = nullptr;
};

} // namespace ergo::vulkan
