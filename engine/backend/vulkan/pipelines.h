// SPDX-License-Identifier: GPL-3.0-or-later
// Compute pipelines by shader and specialisation constants, made on first use. Any thread.
#pragma once

#include "engine/backend/vulkan/device.h"

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace ergo::vulkan {

/// Bytes of push constants every kernel may use: the least a Vulkan device has.
inline constexpr std::uint32_t push_bytes = 128;

class Pipelines {
  public:
    explicit Pipelines(const Device& device);

    /// The pipeline of "shaders/`shader`.spv" with constant i set to constants[i].
    VkPipeline get(const std::string& shader, const std::vector<std::uint32_t>& constants);
    VkPipelineLayout layout() const { return layout_.get(); }

  private:
    VkShaderModule module(const std::string& shader);
    Owned<VkPipeline> make(const std::string& shader, const std::vector<std::uint32_t>& constants);

    const Device& device_;
    Owned<VkPipelineLayout> layout_;
    Owned<VkPipelineCache> cache_;
    std::mutex mutex_;
    std::map<std::string, Owned<VkShaderModule>> modules_;
    std::map<std::pair<std::string, std::vector<std::uint32_t>>, Owned<VkPipeline>> pipelines_;
};

} // namespace ergo::vulkan
