// SPDX-License-Identifier: GPL-3.0-or-later
// Compute pipelines by shader and specialisation constants, made on first use; what the driver compiled is
// kept on disk (pipeline_file.h). Any thread.
#pragma once

#include "engine/backend/vulkan/device.h"

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>
#include <vector>

namespace ergo::vulkan {

/// Bytes of push constants every kernel may use: the least a Vulkan device has.
inline constexpr std::uint32_t push_bytes = 128;

class Pipelines {
  public:
    explicit Pipelines(const Device& device);
    ~Pipelines();
    Pipelines(const Pipelines&) = delete;

    struct Wanted {
        std::string shader;
        std::vector<std::uint32_t> constants;
        bool operator<(const Wanted& other) const {
            return std::tie(shader, constants) < std::tie(other.shader, other.constants);
        }
    };
    /// Compiles those that are not there yet, on several threads at a time.
    void prepare(const std::vector<Wanted>& wanted);
    /// The pipeline of "shaders/`shader`.spv" with constant i set to constants[i].
    VkPipeline get(const std::string& shader, const std::vector<std::uint32_t>& constants);
    VkPipelineLayout layout() const { return layout_.get(); }

  private:
    VkShaderModule module(const std::string& shader);
    Owned<VkPipeline> make(VkShaderModule module, const Wanted& wanted) const;
    void save() noexcept;

    const Device& device_;
    Owned<VkPipelineLayout> layout_;
    Owned<VkPipelineCache> cache_;
    std::mutex mutex_;
    std::map<std::string, Owned<VkShaderModule>> modules_;
    std::map<Wanted, Owned<VkPipeline>> pipelines_;
    std::string key_;         // of the file on disk
    std::size_t unsaved_ = 0; // pipelines compiled since the last save()
};

} // namespace ergo::vulkan
