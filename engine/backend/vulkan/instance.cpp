// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/instance.h"

#include "engine/base/error.h"

#include <algorithm>
#include <string_view>

namespace ergo::vulkan {

namespace {

constexpr const char* validation_layer = "VK_LAYER_KHRONOS_validation";

VKAPI_ATTR VkBool32 VKAPI_CALL receive(VkDebugUtilsMessageSeverityFlagBitsEXT,
                                       VkDebugUtilsMessageTypeFlagsEXT,
                                       const VkDebugUtilsMessengerCallbackDataEXT* data, void* user) {
    const auto& receiver = *static_cast<const std::function<void(const std::string&)>*>(user);
    if (receiver && data && data->pMessage) {
        receiver(data->pMessage);
    }
    return VK_FALSE;
}

VkDebugUtilsMessengerCreateInfoEXT messenger_info(std::function<void(const std::string&)>* receiver) {
    VkDebugUtilsMessengerCreateInfoEXT info{};
    info.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT;
    info.messageSeverity =
        VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT;
    info.messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT;
    info.pfnUserCallback = receive;
    info.pUserData = receiver;
    return info;
}

void require_layer(const GlobalFunctions& global) {
    std::uint32_t count = 0;
    check(global.vkEnumerateInstanceLayerProperties(&count, nullptr), "listing Vulkan layers");
    std::vector<VkLayerProperties> layers(count);
    check(global.vkEnumerateInstanceLayerProperties(&count, layers.data()), "listing Vulkan layers");
    if (std::none_of(layers.begin(), layers.end(), [](const auto& layer) {
            return std::string_view(layer.layerName) == validation_layer;
        })) {
        throw Error(ErrorKind::unsupported, "the Vulkan validation layer is not installed",
                    {.code = "V-LAYER", .advice = "install vulkan-validationlayers"});
    }
}

} // namespace

Instance::Instance(const VulkanOptions& options)
    : library_(std::make_unique<Library>()),
      on_message_(std::make_unique<std::function<void(const std::string&)>>(options.on_validation)) {
    const GlobalFunctions global(*library_);
    std::uint32_t version = 0;
    check(global.vkEnumerateInstanceVersion(&version), "asking for the Vulkan version");
    if (version < VK_API_VERSION_1_2) {
        throw Error(ErrorKind::unsupported,
                    "the Vulkan loader is version " + std::to_string(VK_API_VERSION_MAJOR(version)) + "." +
                        std::to_string(VK_API_VERSION_MINOR(version)) + ", 1.2 is needed",
                    {.code = "V-VERSION", .advice = "update the Vulkan loader"});
    }
    if (options.validation) {
        require_layer(global);
    }
    VkApplicationInfo application{};
    application.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO;
    application.pApplicationName = "Ergosphere";
    application.apiVersion = VK_API_VERSION_1_2;
    const auto messenger = messenger_info(on_message_.get());
    const char* extension = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    VkInstanceCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO;
    info.pApplicationInfo = &application;
    if (options.validation) {
        info.pNext = &messenger; // covers creation and destruction of the instance itself
        info.enabledLayerCount = 1;
        info.ppEnabledLayerNames = &validation_layer;
        info.enabledExtensionCount = 1;
        info.ppEnabledExtensionNames = &extension;
    }
    VkInstance made = VK_NULL_HANDLE;
    check(global.vkCreateInstance(&info, nullptr, &made), "creating a Vulkan instance");
    const auto destroy = library_->get_instance_proc_addr()(made, "vkDestroyInstance");
    instance_ = {made, DestroyInstance{reinterpret_cast<PFN_vkDestroyInstance>(destroy)}};
    functions_ = InstanceFunctions(*library_, made, options.validation);
    if (options.on_instance_functions) {
        options.on_instance_functions(functions_);
    }
    if (options.validation) {
        VkDebugUtilsMessengerEXT receiver = VK_NULL_HANDLE;
        check(functions_.vkCreateDebugUtilsMessengerEXT(made, &messenger, nullptr, &receiver),
              "creating a Vulkan debug messenger");
        messenger_ = {receiver, DestroyMessenger{made, functions_.vkDestroyDebugUtilsMessengerEXT}};
    }
}

std::vector<VkPhysicalDevice> Instance::physical_devices() const {
    std::uint32_t count = 0;
    check(functions_.vkEnumeratePhysicalDevices(instance_.get(), &count, nullptr), "listing Vulkan devices");
    std::vector<VkPhysicalDevice> devices(count);
    check(functions_.vkEnumeratePhysicalDevices(instance_.get(), &count, devices.data()),
          "listing Vulkan devices");
    devices.resize(count);
    return devices;
}

} // namespace ergo::vulkan
