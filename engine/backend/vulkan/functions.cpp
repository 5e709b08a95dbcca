// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/functions.h"

#include "engine/base/error.h"

#include <dlfcn.h>

namespace ergo::vulkan {

namespace {

template <class Function> Function require(PFN_vkVoidFunction found, const char* name) {
    if (!found) {
        throw Error(ErrorKind::device, std::string("the Vulkan driver has no ") + name,
                    {.code = "V-FUNCTION", .advice = "update the graphics driver to one with Vulkan 1.2"});
    }
    return reinterpret_cast<Function>(found);
}

} // namespace

Library::Library() {
    handle_ = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!handle_) {
        throw Error(ErrorKind::device, "there is no Vulkan loader (libvulkan.so.1) on this machine",
                    {.code = "V-LOADER", .advice = "install libvulkan1 and a Vulkan driver, or use the CPU"});
    }
    get_instance_proc_addr_ =
        reinterpret_cast<PFN_vkGetInstanceProcAddr>(dlsym(handle_, "vkGetInstanceProcAddr"));
    if (!get_instance_proc_addr_) {
        dlclose(handle_);
        throw Error(ErrorKind::device, "libvulkan.so.1 has no vkGetInstanceProcAddr", {.code = "V-LOADER"});
    }
}

Library::~Library() {
    dlclose(handle_);
}

GlobalFunctions::GlobalFunctions(const Library& library) {
    const auto get = library.get_instance_proc_addr();
#define ERGO_VULKAN_LOAD(name) name = require<PFN_##name>(get(nullptr, #name), #name);
    ERGO_VULKAN_GLOBAL_FUNCTIONS(ERGO_VULKAN_LOAD)
#undef ERGO_VULKAN_LOAD
}

InstanceFunctions::InstanceFunctions(const Library& library, VkInstance instance, bool debug) {
    const auto get = library.get_instance_proc_addr();
#define ERGO_VULKAN_LOAD(name) name = require<PFN_##name>(get(instance, #name), #name);
    ERGO_VULKAN_INSTANCE_FUNCTIONS(ERGO_VULKAN_LOAD)
    vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR =
        reinterpret_cast<PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR>(
            get(instance, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"));
    if (debug) {
        ERGO_VULKAN_LOAD(vkCreateDebugUtilsMessengerEXT)
        ERGO_VULKAN_LOAD(vkDestroyDebugUtilsMessengerEXT)
    }
#undef ERGO_VULKAN_LOAD
}

DeviceFunctions::DeviceFunctions(const InstanceFunctions& functions, VkDevice device) {
#define ERGO_VULKAN_LOAD(name)                                                                               \
    name = require<PFN_##name>(functions.vkGetDeviceProcAddr(device, #name), #name);
    ERGO_VULKAN_DEVICE_FUNCTIONS(ERGO_VULKAN_LOAD)
#undef ERGO_VULKAN_LOAD
}

std::string result_name(VkResult result) {
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return "VK_ERROR_OUT_OF_HOST_MEMORY";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return "VK_ERROR_OUT_OF_DEVICE_MEMORY";
    case VK_ERROR_INITIALIZATION_FAILED:
        return "VK_ERROR_INITIALIZATION_FAILED";
    case VK_ERROR_DEVICE_LOST:
        return "VK_ERROR_DEVICE_LOST";
    case VK_ERROR_MEMORY_MAP_FAILED:
        return "VK_ERROR_MEMORY_MAP_FAILED";
    case VK_ERROR_INCOMPATIBLE_DRIVER:
        return "VK_ERROR_INCOMPATIBLE_DRIVER";
    case VK_ERROR_TOO_MANY_OBJECTS:
        return "VK_ERROR_TOO_MANY_OBJECTS";
    case VK_ERROR_FRAGMENTATION:
        return "VK_ERROR_FRAGMENTATION";
    default:
        return "VkResult " + std::to_string(static_cast<int>(result));
    }
}

void check(VkResult result, const std::string& doing) {
    if (result >= 0) {
        return;
    }
    const std::string message = doing + " failed: " + result_name(result);
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
    case VK_ERROR_MEMORY_MAP_FAILED:
    case VK_ERROR_TOO_MANY_OBJECTS:
    case VK_ERROR_FRAGMENTATION:
        throw Error(ErrorKind::resources, message,
                    {.code = "V-MEMORY", .advice = "close other models, shorten the context or use the CPU"});
    case VK_ERROR_DEVICE_LOST:
        throw Error(ErrorKind::device, message,
                    {.code = "V-LOST", .advice = "open the model again; the session's text is kept"});
    default:
        throw Error(ErrorKind::device, message, {.code = "V-DEVICE", .advice = "use the CPU backend"});
    }
}

} // namespace ergo::vulkan
