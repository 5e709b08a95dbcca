// SPDX-License-Identifier: GPL-3.0-or-later
// A device with one queue, made to look as if it had a second one of a family that only copies: functions of
// the backend's tables are replaced by some that speak of the first family to the driver, that hold what is
// given to the second queue back until somebody waits for it, and that note what a real device of that kind
// would not allow. One such device at a time; one thread.
#pragma once

#include "engine/backend/vulkan/functions.h"
#include "engine/backend/vulkan/vulkan_backend.h"

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace ergo::test {

class TwoQueues {
  public:
    static constexpr std::uint32_t copy_family = 1; // the software device has family 0 alone

    explicit TwoQueues(bool late);
    ~TwoQueues() { self() = nullptr; }
    TwoQueues(const TwoQueues&) = delete;

    void add_to(VulkanOptions& options);

    std::vector<std::string> violations;
    std::size_t copies = 0;    ///< buffer copies recorded for the second queue
    std::size_t submitted = 0; ///< command buffers given to it
    std::size_t waited = 0;    ///< of those, held back until the host asked for them

  private:
    struct Held {
        VkCommandBuffer commands;
        VkSemaphore after, end;
        std::uint64_t after_value, end_value;
        VkPipelineStageFlags stage;
    };
    static TwoQueues*& self();
    void replace(vulkan::InstanceFunctions& functions);
    void replace(vulkan::DeviceFunctions& functions);
    void expect(bool right, const std::string& what) {
        if (!right) {
            violations.push_back(what);
        }
    }
    bool copying(VkCommandBuffer commands) const { return copying_.contains(commands); }
    VkResult flush();
    VkQueue fake() { return reinterpret_cast<VkQueue>(this); } // an address of its own, known to nobody else

    const bool late_;
    vulkan::InstanceFunctions instance_;
    vulkan::DeviceFunctions device_;
    VkQueue queue_ = VK_NULL_HANDLE;
    std::set<VkCommandPool> pools_;     // of the second family
    std::set<VkCommandBuffer> copying_; // of those pools
    std::set<VkBuffer> shared_;         // by both families
    std::deque<Held> held_;
};

inline TwoQueues*& TwoQueues::self() {
    static TwoQueues* one = nullptr;
    return one;
}

inline TwoQueues::TwoQueues(bool late) : late_(late) {
    self() = this;
}

inline void TwoQueues::add_to(VulkanOptions& options) {
    options.on_instance_functions = [this](vulkan::InstanceFunctions& functions) { replace(functions); };
    options.on_device_functions = [this](vulkan::DeviceFunctions& functions) { replace(functions); };
}

inline void TwoQueues::replace(vulkan::InstanceFunctions& functions) {
    instance_ = functions;
    functions.vkGetPhysicalDeviceQueueFamilyProperties = [](VkPhysicalDevice device, std::uint32_t* count,
                                                            VkQueueFamilyProperties* families) {
        std::uint32_t real = 1;
        if (families && *count > 1) {
            self()->instance_.vkGetPhysicalDeviceQueueFamilyProperties(device, &real, families);
            families[copy_family] = {VK_QUEUE_TRANSFER_BIT, 1, 0, {1, 1, 1}};
        }
        *count = 2;
    };
    functions.vkCreateDevice = [](VkPhysicalDevice physical, const VkDeviceCreateInfo* info,
                                  const VkAllocationCallbacks* allocator, VkDevice* device) {
        VkDeviceCreateInfo real = *info;
        self()->expect(info->queueCreateInfoCount == 2 && info->pQueueCreateInfos[0].queueFamilyIndex == 0 &&
                           info->pQueueCreateInfos[1].queueFamilyIndex == copy_family,
                       "the device was not made with a queue of either family");
        real.queueCreateInfoCount = 1;
        return self()->instance_.vkCreateDevice(physical, &real, allocator, device);
    };
}

inline VkResult TwoQueues::flush() {
    while (!held_.empty()) {
        const Held each = held_.front();
        held_.pop_front();
        VkTimelineSemaphoreSubmitInfo timeline{};
        timeline.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO;
        timeline.waitSemaphoreValueCount = each.after != VK_NULL_HANDLE;
        timeline.pWaitSemaphoreValues = &each.after_value;
        timeline.signalSemaphoreValueCount = 1;
        timeline.pSignalSemaphoreValues = &each.end_value;
        VkSubmitInfo info{};
        info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
        info.pNext = &timeline;
        info.waitSemaphoreCount = timeline.waitSemaphoreValueCount;
        info.pWaitSemaphores = &each.after;
        info.pWaitDstStageMask = &each.stage;
        info.commandBufferCount = 1;
        info.pCommandBuffers = &each.commands;
        info.signalSemaphoreCount = 1;
        info.pSignalSemaphores = &each.end;
        const VkResult result = device_.vkQueueSubmit(queue_, 1, &info, VK_NULL_HANDLE);
        if (result < 0) {
            return result;
        }
    }
    return VK_SUCCESS;
}

inline void TwoQueues::replace(vulkan::DeviceFunctions& functions) {
    device_ = functions;
    functions.vkGetDeviceQueue = [](VkDevice device, std::uint32_t family, std::uint32_t index,
                                    VkQueue* queue) {
        self()->device_.vkGetDeviceQueue(device, 0, index, &self()->queue_);
        *queue = family == copy_family ? self()->fake() : self()->queue_;
    };
    functions.vkCreateCommandPool = [](VkDevice device, const VkCommandPoolCreateInfo* info,
                                       const VkAllocationCallbacks* allocator, VkCommandPool* pool) {
        VkCommandPoolCreateInfo real = *info;
        real.queueFamilyIndex = 0;
        const VkResult result = self()->device_.vkCreateCommandPool(device, &real, allocator, pool);
        if (result == VK_SUCCESS && info->queueFamilyIndex == copy_family) {
            self()->pools_.insert(*pool);
        }
        return result;
    };
    functions.vkDestroyCommandPool = [](VkDevice device, VkCommandPool pool,
                                        const VkAllocationCallbacks* allocator) {
        self()->expect(!self()->pools_.contains(pool) || self()->held_.empty(),
                       "a pool was destroyed while its queue had work");
        self()->pools_.erase(pool);
        self()->device_.vkDestroyCommandPool(device, pool, allocator);
    };
    functions.vkAllocateCommandBuffers = [](VkDevice device, const VkCommandBufferAllocateInfo* info,
                                            VkCommandBuffer* commands) {
        const VkResult result = self()->device_.vkAllocateCommandBuffers(device, info, commands);
        for (std::uint32_t i = 0; result == VK_SUCCESS && i < info->commandBufferCount; ++i) {
            self()->copying_.erase(commands[i]); // an address may come back
            if (self()->pools_.contains(info->commandPool)) {
                self()->copying_.insert(commands[i]);
            }
        }
        return result;
    };
    functions.vkBeginCommandBuffer = [](VkCommandBuffer commands, const VkCommandBufferBeginInfo* info) {
        for (const Held& each : self()->held_) {
            self()->expect(each.commands != commands, "commands are recorded anew while they wait");
        }
        return self()->device_.vkBeginCommandBuffer(commands, info);
    };
    functions.vkCreateBuffer = [](VkDevice device, const VkBufferCreateInfo* info,
                                  const VkAllocationCallbacks* allocator, VkBuffer* buffer) {
        VkBufferCreateInfo real = *info;
        const bool shared = info->sharingMode == VK_SHARING_MODE_CONCURRENT;
        if (shared) {
            self()->expect(info->queueFamilyIndexCount == 2 && info->pQueueFamilyIndices[0] == 0 &&
                               info->pQueueFamilyIndices[1] == copy_family,
                           "a buffer is shared by other families than there are");
            real.sharingMode = VK_SHARING_MODE_EXCLUSIVE;
            real.queueFamilyIndexCount = 0;
            real.pQueueFamilyIndices = nullptr;
        }
        const VkResult result = self()->device_.vkCreateBuffer(device, &real, allocator, buffer);
        if (result == VK_SUCCESS) {
            shared ? static_cast<void>(self()->shared_.insert(*buffer))
                   : static_cast<void>(self()->shared_.erase(*buffer));
        }
        return result;
    };
    functions.vkCmdCopyBuffer = [](VkCommandBuffer commands, VkBuffer from, VkBuffer to, std::uint32_t count,
                                   const VkBufferCopy* regions) {
        if (self()->copying(commands)) {
            self()->copies += count;
            self()->expect(self()->shared_.contains(from) && self()->shared_.contains(to),
                           "the second queue copies buffers that belong to the first");
        }
        self()->device_.vkCmdCopyBuffer(commands, from, to, count, regions);
    };
    functions.vkCmdPipelineBarrier = [](VkCommandBuffer commands, VkPipelineStageFlags before,
                                        VkPipelineStageFlags after, VkDependencyFlags flags,
                                        std::uint32_t memory_count, const VkMemoryBarrier* memory,
                                        std::uint32_t buffer_count, const VkBufferMemoryBarrier* buffers,
                                        std::uint32_t image_count, const VkImageMemoryBarrier* images) {
        constexpr VkPipelineStageFlags allowed =
            VK_PIPELINE_STAGE_TRANSFER_BIT | VK_PIPELINE_STAGE_HOST_BIT | VK_PIPELINE_STAGE_TOP_OF_PIPE_BIT |
            VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT | VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
        self()->expect(!self()->copying(commands) || ((before | after) & ~allowed) == 0,
                       "the second queue waits for stages that it has not");
        self()->device_.vkCmdPipelineBarrier(commands, before, after, flags, memory_count, memory,
                                             buffer_count, buffers, image_count, images);
    };
    functions.vkCmdBindPipeline = [](VkCommandBuffer commands, VkPipelineBindPoint point,
                                     VkPipeline pipeline) {
        self()->expect(!self()->copying(commands), "a kernel is given to the second queue");
        self()->device_.vkCmdBindPipeline(commands, point, pipeline);
    };
    functions.vkCmdResetQueryPool = [](VkCommandBuffer commands, VkQueryPool pool, std::uint32_t first,
                                       std::uint32_t count) {
        self()->expect(!self()->copying(commands), "the second queue is to reset a clock");
        self()->device_.vkCmdResetQueryPool(commands, pool, first, count);
    };
    functions.vkQueueSubmit = [](VkQueue queue, std::uint32_t count, const VkSubmitInfo* info,
                                 VkFence fence) {
        const bool second = queue == self()->fake();
        for (std::uint32_t i = 0; i < count; ++i) {
            for (std::uint32_t c = 0; c < info[i].commandBufferCount; ++c) {
                self()->expect(self()->copying(info[i].pCommandBuffers[c]) == second,
                               "commands were given to a queue of another family");
            }
        }
        if (!second) {
            return self()->device_.vkQueueSubmit(queue, count, info, fence);
        }
        const auto* timeline = static_cast<const VkTimelineSemaphoreSubmitInfo*>(info->pNext);
        if (count != 1 || info->commandBufferCount != 1 || info->signalSemaphoreCount != 1 ||
            info->waitSemaphoreCount > 1 || fence != VK_NULL_HANDLE) {
            return VK_ERROR_UNKNOWN; // this does not play such a submission
        }
        const bool waits = info->waitSemaphoreCount == 1;
        self()->expect(waits, "what is copied may not be there yet");
        self()->held_.push_back({info->pCommandBuffers[0], waits ? info->pWaitSemaphores[0] : VK_NULL_HANDLE,
                                 info->pSignalSemaphores[0], waits ? timeline->pWaitSemaphoreValues[0] : 0,
                                 timeline->pSignalSemaphoreValues[0],
                                 waits ? info->pWaitDstStageMask[0] : 0});
        ++self()->submitted;
        return self()->late_ ? VK_SUCCESS : self()->flush();
    };
    functions.vkQueueWaitIdle = [](VkQueue queue) {
        if (queue == self()->fake()) {
            self()->waited += self()->held_.size();
            if (const VkResult result = self()->flush(); result < 0) {
                return result;
            }
        }
        return self()->device_.vkQueueWaitIdle(self()->queue_);
    };
    functions.vkWaitSemaphores = [](VkDevice device, const VkSemaphoreWaitInfo* info, std::uint64_t timeout) {
        for (const Held& each : self()->held_) {
            if (each.end == info->pSemaphores[0] && each.end_value <= info->pValues[0]) {
                self()->waited += self()->held_.size();
                if (const VkResult result = self()->flush(); result < 0) {
                    return result;
                }
                break;
            }
        }
        return self()->device_.vkWaitSemaphores(device, info, timeout);
    };
}

} // namespace ergo::test
