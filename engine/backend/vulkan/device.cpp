// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/device.h"

#include "engine/backend/vulkan/matrices.h"
#include "engine/base/embedded.h"
#include "engine/base/error.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

namespace ergo::vulkan {

namespace {

constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

struct Families {
    std::uint32_t compute = none, copy = none, timestamp_bits = 0;
};

/// The first that computes, and the first that only copies: engines that work beside the others. Where there
/// is none, copies go where kernels go.
Families families_of(const InstanceFunctions& functions, VkPhysicalDevice device) {
    std::uint32_t count = 0;
    functions.vkGetPhysicalDeviceQueueFamilyProperties(device, &count, nullptr);
    std::vector<VkQueueFamilyProperties> families(count);
    functions.vkGetPhysicalDeviceQueueFamilyProperties(device, &count, families.data());
    Families found;
    for (std::uint32_t i = 0; i < count; ++i) {
        const VkQueueFlags flags = families[i].queueFlags;
        if ((flags & VK_QUEUE_COMPUTE_BIT) && found.compute == none) {
            found.compute = i;
            found.timestamp_bits = families[i].timestampValidBits;
        }
        constexpr VkQueueFlags copies = // a video engine copies too, but is there for something else
            VK_QUEUE_TRANSFER_BIT | VK_QUEUE_SPARSE_BINDING_BIT | VK_QUEUE_PROTECTED_BIT;
        if ((flags & VK_QUEUE_TRANSFER_BIT) && !(flags & ~copies) && found.copy == none) {
            found.copy = i;
        }
    }
    found.copy = found.copy == none ? found.compute : found.copy;
    return found;
}

/// The driver's own cache id, and everything else that says which driver compiled a kernel for which device.
std::string cache_key(const VkPhysicalDeviceProperties& properties) {
    std::string key;
    for (const std::uint32_t number :
         {properties.vendorID, properties.deviceID, properties.driverVersion, properties.apiVersion}) {
        key += std::to_string(number) + "-";
    }
    constexpr char digits[] = "0123456789abcdef";
    for (const std::uint8_t byte : properties.pipelineCacheUUID) {
        key += {digits[byte >> 4], digits[byte & 15u]};
    }
    return key;
}

std::array<std::byte, 32> cache_header(const VkPhysicalDeviceProperties& properties) {
    const std::array<std::uint32_t, 4> numbers{32, VK_PIPELINE_CACHE_HEADER_VERSION_ONE, properties.vendorID,
                                               properties.deviceID};
    std::array<std::byte, 32> header{};
    std::memcpy(header.data(), numbers.data(), sizeof numbers);
    std::memcpy(header.data() + sizeof numbers, properties.pipelineCacheUUID, VK_UUID_SIZE);
    return header;
}

std::string version_text(std::uint32_t version) {
    return std::to_string(VK_API_VERSION_MAJOR(version)) + "." +
           std::to_string(VK_API_VERSION_MINOR(version)) + "." +
           std::to_string(VK_API_VERSION_PATCH(version));
}

/// Fills what only a Vulkan 1.2 device can be asked, and says what is missing.
void inspect_12(const InstanceFunctions& functions, VkPhysicalDevice device, DeviceTraits& traits) {
    VkPhysicalDeviceVulkan12Properties properties12{};
    properties12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES;
    VkPhysicalDeviceVulkan11Properties properties11{};
    properties11.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES;
    properties11.pNext = &properties12;
    VkPhysicalDeviceProperties2 properties{};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    properties.pNext = &properties11;
    functions.vkGetPhysicalDeviceProperties2(device, &properties);
    VkPhysicalDeviceVulkan12Features features12{};
    features12.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    VkPhysicalDeviceFeatures2 features{};
    features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    features.pNext = &features12;
    functions.vkGetPhysicalDeviceFeatures2(device, &features);

    traits.info.driver = std::string(properties12.driverName) + " " + properties12.driverInfo;
    traits.max_allocation = properties11.maxMemoryAllocationSize;
    traits.subgroup_size = properties11.subgroupSize;
    traits.info.features.push_back("subgroups of " + std::to_string(properties11.subgroupSize));
    constexpr VkSubgroupFeatureFlags operations =
        VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT | VK_SUBGROUP_FEATURE_BALLOT_BIT;
    if (!features12.bufferDeviceAddress) {
        traits.info.unusable = "no buffer device addresses";
    } else if (!features12.timelineSemaphore) {
        traits.info.unusable = "no timeline semaphores";
    } else if ((properties11.subgroupSupportedOperations & operations) != operations ||
               !(properties11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT)) {
        traits.info.unusable = "no subgroup arithmetic in compute shaders";
    }
}

DeviceKind kind_of(VkPhysicalDeviceType type) {
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return DeviceKind::discrete_gpu;
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return DeviceKind::integrated_gpu;
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return DeviceKind::virtual_gpu;
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return DeviceKind::software;
    default:
        return DeviceKind::other;
    }
}

bool has_extension(const InstanceFunctions& functions, VkPhysicalDevice device, std::string_view name) {
    std::uint32_t count = 0;
    if (functions.vkEnumerateDeviceExtensionProperties(device, nullptr, &count, nullptr) != VK_SUCCESS) {
        return false;
    }
    std::vector<VkExtensionProperties> found(count);
    if (functions.vkEnumerateDeviceExtensionProperties(device, nullptr, &count, found.data()) < 0) {
        return false;
    }
    return std::any_of(found.begin(), found.end(),
                       [&](const auto& extension) { return extension.extensionName == name; });
}

/// Heaps and types, and what is free of the largest heap of the device's own.
void inspect_memory(const InstanceFunctions& functions, VkPhysicalDevice device, DeviceTraits& traits) {
    const bool budgeted = has_extension(functions, device, VK_EXT_MEMORY_BUDGET_EXTENSION_NAME);
    VkPhysicalDeviceMemoryBudgetPropertiesEXT budget{};
    budget.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT;
    VkPhysicalDeviceMemoryProperties2 memory{};
    memory.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_PROPERTIES_2;
    memory.pNext = budgeted ? &budget : nullptr;
    functions.vkGetPhysicalDeviceMemoryProperties2(device, &memory);
    traits.memory = memory.memoryProperties;
    for (std::uint32_t i = 0; i < traits.memory.memoryHeapCount; ++i) {
        const VkMemoryHeap& heap = traits.memory.memoryHeaps[i];
        if ((heap.flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) && heap.size > traits.info.memory_bytes) {
            traits.info.memory_bytes = heap.size;
            const VkDeviceSize all = budget.heapBudget[i], used = budget.heapUsage[i];
            traits.info.available_bytes = budgeted && all > used ? std::min(heap.size, all - used) : 0;
        }
    }
}

/// Fills an extension's structures of features and of properties.
void ask(const InstanceFunctions& functions, VkPhysicalDevice device, void* of_features,
         void* of_properties) {
    VkPhysicalDeviceFeatures2 features{};
    features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2;
    features.pNext = of_features;
    functions.vkGetPhysicalDeviceFeatures2(device, &features);
    VkPhysicalDeviceProperties2 properties{};
    properties.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2;
    properties.pNext = of_properties;
    functions.vkGetPhysicalDeviceProperties2(device, &properties);
}

/// Where a driver chooses the subgroup size kernel by kernel, it is held to the one that it announces.
void inspect_subgroups(const InstanceFunctions& functions, VkPhysicalDevice device, DeviceTraits& traits) {
    if (!has_extension(functions, device, VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME)) {
        return;
    }
    VkPhysicalDeviceSubgroupSizeControlPropertiesEXT sizes{};
    sizes.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES_EXT;
    VkPhysicalDeviceSubgroupSizeControlFeaturesEXT control{};
    control.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT;
    ask(functions, device, &control, &sizes);
    const std::uint32_t size = std::clamp(traits.subgroup_size, sizes.minSubgroupSize,
                                          std::max(sizes.minSubgroupSize, sizes.maxSubgroupSize));
    constexpr std::uint32_t most_invocations = 128; // of any kernel's workgroup
    if (control.subgroupSizeControl && (sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) &&
        size > 0 && sizes.maxComputeWorkgroupSubgroups >= (most_invocations + size - 1) / size) {
        traits.fixed_subgroup_size = traits.subgroup_size = size;
        traits.full_subgroups = control.computeFullSubgroups == VK_TRUE;
        traits.info.features.push_back("subgroup size control");
    }
}

/// Products of four 8-bit numbers at a time.
void inspect_dot_products(const InstanceFunctions& functions, VkPhysicalDevice device, DeviceTraits& traits) {
    if (!has_extension(functions, device, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME)) {
        return;
    }
    VkPhysicalDeviceShaderIntegerDotProductFeaturesKHR dot{};
    dot.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES_KHR;
    VkPhysicalDeviceShaderIntegerDotProductPropertiesKHR speed{};
    speed.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_PROPERTIES_KHR;
    ask(functions, device, &dot, &speed);
    traits.dot_products = dot.shaderIntegerDotProduct == VK_TRUE;
    traits.fast_dot_products =
        traits.dot_products && speed.integerDotProduct4x8BitPackedSignedAccelerated == VK_TRUE;
    if (traits.dot_products) {
        traits.info.features.push_back(traits.fast_dot_products ? "integer dot products"
                                                                : "integer dot products (slow)");
    }
}

/// The shapes that are of use, and what else a kernel needs for them: untried, or why there are none.
MatrixUse find_shapes(const InstanceFunctions& functions, VkPhysicalDevice device, DeviceTraits& traits) {
    using State = MatrixUse::State;
    if (!has_extension(functions, device, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME) ||
        !functions.vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR) {
        return {.state = State::not_there};
    }
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrices{};
    matrices.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR;
    VkPhysicalDeviceVulkan12Features features{};
    features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    features.pNext = &matrices;
    ask(functions, device, &features, nullptr);
    if (!matrices.cooperativeMatrix || !features.shaderFloat16 || !features.vulkanMemoryModel) {
        return {.state = State::no_halves};
    }
    if (!traits.full_subgroups) {
        return {.state = State::no_full_subgroups};
    }
    std::uint32_t count = 0;
    if (functions.vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR(device, &count, nullptr) < 0) {
        return {.state = State::not_listed};
    }
    VkCooperativeMatrixPropertiesKHR empty{};
    empty.sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    std::vector<VkCooperativeMatrixPropertiesKHR> all(count, empty);
    if (functions.vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR(device, &count, all.data()) < 0) {
        return {.state = State::not_listed};
    }
    all.resize(std::min<std::size_t>(count, all.size()));
    for (const VkCooperativeMatrixPropertiesKHR& each : all) {
        if (each.AType == VK_COMPONENT_TYPE_FLOAT16_KHR && each.BType == VK_COMPONENT_TYPE_FLOAT16_KHR &&
            each.CType == VK_COMPONENT_TYPE_FLOAT32_KHR && each.ResultType == VK_COMPONENT_TYPE_FLOAT32_KHR &&
            each.scope == VK_SCOPE_SUBGROUP_KHR) {
            traits.matrix_shapes.push_back({each.MSize, each.NSize, each.KSize});
        }
    }
    if (!best_tiling(traits.matrix_shapes, traits.subgroup_size, traits.limits.maxComputeSharedMemorySize)) {
        traits.matrix_shapes.clear();
        return {.state = State::no_fitting_shape, .kinds = all.size()};
    }
    return {.state = State::untried};
}

void inspect_matrices(const InstanceFunctions& functions, VkPhysicalDevice device, DeviceTraits& traits) {
    traits.info.matrices = find_shapes(functions, device, traits);
    traits.info.has_matrices = traits.info.matrices.state == MatrixUse::State::untried;
    if (traits.info.has_matrices) {
        traits.info.features.push_back("cooperative matrices");
    }
}

int rank(const DeviceTraits& traits) {
    switch (traits.info.kind) {
    case DeviceKind::discrete_gpu:
        return 0;
    case DeviceKind::integrated_gpu:
        return 1;
    case DeviceKind::virtual_gpu:
        return 2;
    default:
        return 3;
    }
}

std::size_t choose(const std::vector<DeviceTraits>& all, int index) {
    if (index >= 0) {
        if (static_cast<std::size_t>(index) >= all.size()) {
            throw Error(ErrorKind::device,
                        "there is no Vulkan device " + std::to_string(index) + ": this machine has " +
                            std::to_string(all.size()),
                        {.code = "V-INDEX", .advice = "list the devices, or use the CPU"});
        }
        return static_cast<std::size_t>(index);
    }
    std::size_t best = all.size();
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (all[i].info.unusable.empty() && rank(all[i]) < 3 &&
            (best == all.size() || rank(all[i]) < rank(all[best]))) {
            best = i;
        }
    }
    if (best == all.size()) {
        throw Error(ErrorKind::device,
                    all.empty() ? "there is no Vulkan device on this machine"
                                : "none of the " + std::to_string(all.size()) +
                                      " Vulkan devices of this machine is a usable GPU",
                    {.code = "V-NO-GPU", .advice = "name a device to use a software one, or use the CPU"});
    }
    return best;
}

} // namespace

DeviceTraits inspect(const Instance& instance, VkPhysicalDevice device) {
    const InstanceFunctions& functions = instance.functions();
    DeviceTraits traits;
    VkPhysicalDeviceProperties properties{};
    functions.vkGetPhysicalDeviceProperties(device, &properties);
    traits.limits = properties.limits;
    traits.info.backend = "vulkan";
    traits.info.name = properties.deviceName;
    traits.info.kind = kind_of(properties.deviceType);
    traits.info.software = traits.info.kind == DeviceKind::software;
    traits.cache_key = cache_key(properties);
    traits.cache_header = cache_header(properties);
    if (properties.apiVersion >= VK_API_VERSION_1_1) {
        inspect_memory(functions, device, traits);
    }
    traits.info.features.push_back("Vulkan " + version_text(properties.apiVersion));
    const Families families = families_of(functions, device);
    traits.queue_family = families.compute;
    traits.copy_family = families.copy;
    traits.timestamp_bits = families.timestamp_bits;
    if (families.copy != families.compute) {
        traits.info.features.push_back("a queue for copies");
    }
    if (properties.apiVersion < VK_API_VERSION_1_2) {
        traits.info.unusable = "Vulkan " + version_text(properties.apiVersion) + ", 1.2 is needed";
    } else if (traits.queue_family == none) {
        traits.info.unusable = "no compute queue";
    } else {
        inspect_12(functions, device, traits);
        inspect_subgroups(functions, device, traits);
        inspect_dot_products(functions, device, traits);
        inspect_matrices(functions, device, traits);
    }
    if (!traits.info.unusable.empty()) {
        traits.info.features.insert(traits.info.features.begin(), "unusable: " + traits.info.unusable);
    }
    return traits;
}

Device::Device(const VulkanOptions& options, int index)
    : instance_(std::make_unique<Instance>(options)), options_(options) {
    const auto physical = instance_->physical_devices();
    std::vector<DeviceTraits> all;
    for (const VkPhysicalDevice device : physical) {
        all.push_back(inspect(*instance_, device));
    }
    const std::size_t chosen = choose(all, index);
    traits_ = all[chosen];
    traits_.dot_products = traits_.dot_products && find_embedded("shaders/matmul_dot.spv") &&
                           (traits_.fast_dot_products || options_.slow_dot_products);
    if (traits_.info.has_matrices && !find_embedded("shaders/matmul_coop.spv")) {
        traits_.info.has_matrices = false;
        traits_.info.matrices = {.state = MatrixUse::State::not_built};
    }
    if (options_.no_extensions) {
        traits_.fixed_subgroup_size = 0;
        traits_.full_subgroups = traits_.dot_products = false;
        if (traits_.info.has_matrices) {
            traits_.info.has_matrices = false;
            traits_.info.matrices = {.state = MatrixUse::State::no_extensions};
        }
    }
    const bool matrices = traits_.info.has_matrices && !options_.no_cooperative_matrix;
    if (!traits_.info.unusable.empty()) {
        throw Error(ErrorKind::unsupported, traits_.info.name + " cannot be used: " + traits_.info.unusable,
                    {.code = "V-FEATURE", .advice = "update its driver, or use the CPU"});
    }
    const float priority = 1;
    std::array<VkDeviceQueueCreateInfo, 2> queues{};
    for (VkDeviceQueueCreateInfo& queue : queues) {
        queue.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO;
        queue.queueCount = 1;
        queue.pQueuePriorities = &priority;
    }
    queues[0].queueFamilyIndex = traits_.queue_family;
    queues[1].queueFamilyIndex = traits_.copy_family;
    VkPhysicalDeviceVulkan12Features features{};
    features.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES;
    features.bufferDeviceAddress = VK_TRUE;
    features.timelineSemaphore = VK_TRUE;
    VkPhysicalDeviceSubgroupSizeControlFeaturesEXT control{};
    control.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT;
    control.subgroupSizeControl = VK_TRUE;
    control.computeFullSubgroups = traits_.full_subgroups;
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR cooperative{};
    cooperative.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR;
    cooperative.cooperativeMatrix = VK_TRUE;
    VkPhysicalDeviceShaderIntegerDotProductFeaturesKHR dot{};
    dot.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES_KHR;
    dot.shaderIntegerDotProduct = VK_TRUE;
    std::vector<const char*> extensions;
    VkDeviceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO;
    info.pNext = &features;
    if (traits_.fixed_subgroup_size) {
        features.pNext = &control;
        extensions.push_back(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    }
    if (traits_.dot_products) {
        dot.pNext = features.pNext;
        features.pNext = &dot;
        extensions.push_back(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME);
    }
    if (matrices) {
        features.shaderFloat16 = features.vulkanMemoryModel = VK_TRUE;
        cooperative.pNext = features.pNext;
        features.pNext = &cooperative;
        extensions.push_back(VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
    }
    info.enabledExtensionCount = static_cast<std::uint32_t>(extensions.size());
    info.ppEnabledExtensionNames = extensions.data();
    info.queueCreateInfoCount = copies_apart() ? 2 : 1;
    info.pQueueCreateInfos = queues.data();
    VkDevice made = VK_NULL_HANDLE;
    check(instance_->functions().vkCreateDevice(physical[chosen], &info, nullptr, &made),
          "creating a device on " + traits_.info.name);
    const auto destroy = instance_->functions().vkGetDeviceProcAddr(made, "vkDestroyDevice");
    device_ = {made, DestroyDevice{reinterpret_cast<PFN_vkDestroyDevice>(destroy)}};
    functions_ = DeviceFunctions(instance_->functions(), made);
    if (options_.on_device_functions) {
        options_.on_device_functions(functions_);
    }
    functions_.vkGetDeviceQueue(made, traits_.queue_family, 0, &queue_);
    functions_.vkGetDeviceQueue(made, traits_.copy_family, 0, &copy_queue_);
}

void Device::check_there() const {
    if (lost_.load(std::memory_order_relaxed)) {
        check(VK_ERROR_DEVICE_LOST, "giving work to " + traits_.info.name);
    }
}

void Device::submit(QueueKind queue, VkCommandBuffer commands, const Moment& after, const Moment& end) const {
    check_there();
    const bool waits = after.semaphore != VK_NULL_HANDLE;
    const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
    VkTimelineSemaphoreSubmitInfo timeline{};
    timeline.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO;
    timeline.waitSemaphoreValueCount = waits;
    timeline.pWaitSemaphoreValues = &after.value;
    timeline.signalSemaphoreValueCount = 1;
    timeline.pSignalSemaphoreValues = &end.value;
    VkSubmitInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO;
    info.pNext = &timeline;
    info.waitSemaphoreCount = waits;
    info.pWaitSemaphores = &after.semaphore;
    info.pWaitDstStageMask = &stage;
    info.commandBufferCount = 1;
    info.pCommandBuffers = &commands;
    info.signalSemaphoreCount = 1;
    info.pSignalSemaphores = &end.semaphore;
    const std::lock_guard lock(queue_mutex_);
    check(functions_.vkQueueSubmit(queue == QueueKind::copy ? copy_queue_ : queue_, 1, &info, VK_NULL_HANDLE),
          "submitting work to " + traits_.info.name);
}

void Device::settle(QueueKind queue) const noexcept {
    const std::lock_guard lock(queue_mutex_);
    functions_.vkQueueWaitIdle(queue == QueueKind::copy ? copy_queue_
                                                        : queue_); // lost: nothing runs any more
}

Timeline::Timeline(const Device& device, QueueKind queue) : device_(device), queue_(queue) {
    const DeviceFunctions& functions = device.functions();
    VkCommandPoolCreateInfo pool_info{};
    pool_info.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO;
    pool_info.flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT;
    pool_info.queueFamilyIndex =
        queue == QueueKind::copy ? device.traits().copy_family : device.traits().queue_family;
    VkCommandPool pool = VK_NULL_HANDLE;
    check(functions.vkCreateCommandPool(device.get(), &pool_info, nullptr, &pool), "creating a command pool");
    pool_ = {device.get(), pool, functions.vkDestroyCommandPool};
    VkSemaphoreTypeCreateInfo type{};
    type.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO;
    type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
    VkSemaphoreCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO;
    info.pNext = &type;
    VkSemaphore semaphore = VK_NULL_HANDLE;
    check(functions.vkCreateSemaphore(device.get(), &info, nullptr, &semaphore), "creating a semaphore");
    semaphore_ = {device.get(), semaphore, functions.vkDestroySemaphore};
}

Timeline::~Timeline() {
    try {
        wait(submitted_); // the pool's commands must not be running when it goes
    } catch (const std::exception&) {
        return; // the device is lost: nothing runs any more
    }
}

VkCommandBuffer Timeline::allocate() {
    VkCommandBufferAllocateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO;
    info.commandPool = pool_.get();
    info.level = VK_COMMAND_BUFFER_LEVEL_PRIMARY;
    info.commandBufferCount = 1;
    VkCommandBuffer commands = VK_NULL_HANDLE;
    check(device_.functions().vkAllocateCommandBuffers(device_.get(), &info, &commands),
          "allocating a command buffer");
    return commands;
}

std::uint64_t Timeline::submit(VkCommandBuffer commands, const Device::Moment& after) {
    device_.submit(queue_, commands, after, moment(submitted_ + 1));
    return ++submitted_;
}

void Timeline::wait(std::uint64_t value) const {
    const VkSemaphore semaphore = semaphore_.get();
    VkSemaphoreWaitInfo info{};
    info.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO;
    info.semaphoreCount = 1;
    info.pSemaphores = &semaphore;
    info.pValues = &value;
    check(
        device_.functions().vkWaitSemaphores(device_.get(), &info, std::numeric_limits<std::uint64_t>::max()),
        "waiting for " + device_.traits().info.name);
}

} // namespace ergo::vulkan
