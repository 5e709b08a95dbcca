// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/pipelines.h"

#include "engine/backend/vulkan/pipeline_file.h"
#include "engine/base/embedded.h"
#include "engine/base/error.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <exception>
#include <set>
#include <thread>

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
    key_ = pipeline_key(device.traits().cache_key);
    const std::filesystem::path& folder = device.options().pipeline_folder;
    std::vector<std::byte> stored;
    if (!folder.empty()) {
        stored = read_pipelines(folder, key_);
        const auto& header = device.traits().cache_header;
        if (stored.size() < header.size() || !std::equal(header.begin(), header.end(), stored.begin())) {
            stored.clear(); // not every driver would notice
        }
    }
    VkPipelineCacheCreateInfo cache_info{};
    cache_info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
    cache_info.initialDataSize = stored.size();
    cache_info.pInitialData = stored.data();
    VkPipelineCache cache = VK_NULL_HANDLE;
    VkResult made = functions.vkCreatePipelineCache(device.get(), &cache_info, nullptr, &cache);
    if (made < 0 && !stored.empty()) { // the driver does not like what it once wrote
        cache_info.initialDataSize = 0;
        made = functions.vkCreatePipelineCache(device.get(), &cache_info, nullptr, &cache);
    }
    check(made, "creating a pipeline cache");
    cache_ = {device.get(), cache, functions.vkDestroyPipelineCache};
}

Pipelines::~Pipelines() {
    save();
}

void Pipelines::save() noexcept {
    const std::filesystem::path& folder = device_.options().pipeline_folder;
    if (unsaved_ == 0 || folder.empty()) {
        return;
    }
    const DeviceFunctions& functions = device_.functions();
    std::size_t size = 0;
    if (functions.vkGetPipelineCacheData(device_.get(), cache_.get(), &size, nullptr) != VK_SUCCESS) {
        return;
    }
    std::vector<std::byte> data(size);
    if (functions.vkGetPipelineCacheData(device_.get(), cache_.get(), &size, data.data()) == VK_SUCCESS) {
        write_pipelines(folder, key_, std::span(data).first(size));
    }
    unsaved_ = 0;
}

VkPipeline Pipelines::get(const std::string& shader, const std::vector<std::uint32_t>& constants) {
    const std::lock_guard lock(mutex_);
    Wanted key{shader, constants};
    auto found = pipelines_.find(key);
    if (found == pipelines_.end()) {
        Owned<VkPipeline> made = make(module(shader), key);
        found = pipelines_.emplace(std::move(key), std::move(made)).first;
        ++unsaved_;
    }
    return found->second.get();
}

void Pipelines::prepare(const std::vector<Wanted>& wanted) {
    const std::lock_guard lock(mutex_);
    std::set<Wanted> names;
    for (const Wanted& one : wanted) {
        if (!pipelines_.contains(one)) {
            names.insert(one);
        }
    }
    struct Job {
        const Wanted* wanted;
        VkShaderModule module;
        Owned<VkPipeline> made;
    };
    std::vector<Job> jobs;
    for (const Wanted& one : names) {
        jobs.push_back({&one, module(one.shader), {}});
    }
    std::atomic<std::size_t> next{0};
    std::exception_ptr problem;
    std::mutex problem_mutex;
    const auto work = [&] {
        for (std::size_t i = next++; i < jobs.size(); i = next++) {
            try {
                jobs[i].made = make(jobs[i].module, *jobs[i].wanted);
            } catch (...) {
                const std::lock_guard problem_lock(problem_mutex);
                problem = std::current_exception();
            }
        }
    };
    std::vector<std::jthread> helpers;
    const std::size_t threads = std::min<std::size_t>(std::thread::hardware_concurrency(), jobs.size());
    for (std::size_t i = 1; i < threads; ++i) {
        helpers.emplace_back(work);
    }
    work();
    helpers.clear(); // joins them
    if (problem) {
        std::rethrow_exception(problem);
    }
    for (Job& job : jobs) {
        pipelines_.emplace(*job.wanted, std::move(job.made));
    }
    unsaved_ += jobs.size();
    if (!jobs.empty()) {
        save(); // a program that is killed keeps what it waited for
    }
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

Owned<VkPipeline> Pipelines::make(VkShaderModule module, const Wanted& wanted) const {
    const std::vector<std::uint32_t>& constants = wanted.constants;
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
    info.stage.module = module;
    info.stage.pName = "main";
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfoEXT subgroups{};
    subgroups.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO_EXT;
    subgroups.requiredSubgroupSize = device_.traits().fixed_subgroup_size;
    if (subgroups.requiredSubgroupSize) {
        info.stage.pNext = &subgroups;
        if (wanted.shader == "matmul_coop") { // a subgroup holds a matrix together: all of it must be there
            info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT_EXT;
        }
    }
    info.stage.pSpecializationInfo = &special;
    info.layout = layout_.get();
    VkPipeline pipeline = VK_NULL_HANDLE;
    const DeviceFunctions& functions = device_.functions();
    check(functions.vkCreateComputePipelines(device_.get(), cache_.get(), 1, &info, nullptr, &pipeline),
          "compiling the kernel " + wanted.shader);
    return {device_.get(), pipeline, functions.vkDestroyPipeline};
}

} // namespace ergo::vulkan
