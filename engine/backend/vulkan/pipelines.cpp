// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/pipelines.h"

#include "engine/base/embedded.h"
#include "engine/base/error.h"

#include <cstring>

namespace ergo::vulkan {

Pipelines::Pipelines(const Device& device) : device_(device) {
    const DeviceFunctions& functions = device.functions();
    const VkPushConstantRange range{VK_SHADER_STAGE_COMPUTE_BIT, 0, push_bytes};
    VkPipelineLayoutCreateInfo layout_info{};
    layout_info.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO;
    layout_info.pushConstantRangeCount = 1;
    layout_info.pPushConstantRanges = &range;
    VkPipelineLayout layout = VK_NULL_HANDLE;
    check(functions.vkCreatePipelineLayout(device.get(), &layout_info, nullptr, &layout),
          "creating a pipeline layout");
    layout_ = {device.get(), layout, functions.vkDestroyPipelineLayout};
    VkPipelineCacheCreateInfo cache_info{};
    cache_info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
    VkPipelineCache cache = VK_NULL_HANDLE;
    check(functions.vkCreatePipelineCache(device.get(), &cache_info, nullptr, &cache),
          "creating a pipeline cache");
    cache_ = {device.get(), cache, functions.vkDestroyPipelineCache};
}

VkPipeline Pipelines::get(const std::string& shader, const std::vector<std::uint32_t>& constants) {
    const std::lock_guard lock(mutex_);
    const auto key = std::pair(shader, constants);
    auto found = pipelines_.find(key);
    if (found == pipelines_.end()) {
        found = pipelines_.emplace(key, make(shader, constants)).first;
    }
    return found->second.get();
}

VkShaderModule Pipelines::module(const std::string& shader) {
    const auto found = modules_.find(shader);
    if (found != modules_.end()) {
        return found->second.get();
    }
    const EmbeddedFile* file = find_embedded("shaders/" + shader + ".spv");
    if (!file) {
        throw Error(ErrorKind::unsupported, "this program was built without the kernel " + shader,
                    {.code = "V-KERNEL", .advice = "use the CPU backend"});
    }
    std::vector<std::uint32_t> code(file->bytes.size() / sizeof(std::uint32_t));
    std::memcpy(code.data(), file->bytes.data(), code.size() * sizeof(std::uint32_t));
    VkShaderModuleCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO;
    info.codeSize = code.size() * sizeof(std::uint32_t);
    info.pCode = code.data();
    VkShaderModule made = VK_NULL_HANDLE;
    const DeviceFunctions& functions = device_.functions();
    check(functions.vkCreateShaderModule(device_.get(), &info, nullptr, &made),
          "loading the kernel " + shader);
    return modules_
        .emplace(shader, Owned<VkShaderModule>(device_.get(), made, functions.vkDestroyShaderModule))
        .first->second.get();
}

Owned<VkPipeline> Pipelines::make(const std::string& shader, const std::vector<std::uint32_t>& constants) {
    std::vector<VkSpecializationMapEntry> entries;
    for (std::uint32_t i = 0; i < constants.size(); ++i) {
        entries.push_back({i, i * 4, 4});
    }
    VkSpecializationInfo special{};
    special.mapEntryCount = static_cast<std::uint32_t>(entries.size());
    special.pMapEntries = entries.data();
    special.dataSize = constants.size() * 4;
    special.pData = constants.data();
    VkComputePipelineCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO;
    info.stage.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO;
    info.stage.stage = VK_SHADER_STAGE_COMPUTE_BIT;
    info.stage.module = module(shader);
    info.stage.pName = "main";
    info.stage.pSpecializationInfo = &special;
    info.layout = layout_.get();
    VkPipeline pipeline = VK_NULL_HANDLE;
    const DeviceFunctions& functions = device_.functions();
    check(functions.vkCreateComputePipelines(device_.get(), cache_.get(), 1, &info, nullptr, &pipeline),
          "compiling the kernel " + shader);
    return {device_.get(), pipeline, functions.vkDestroyPipeline};
}

} // namespace ergo::vulkan
