// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/memory.h"

#include "engine/base/error.h"

#include <array>
#include <utility>

namespace ergo::vulkan {

namespace {

std::string mebibytes(std::uint64_t bytes) {
    return std::to_string((bytes + (1u << 20) - 1) >> 20) + " MiB";
}

bool on_device(Placement placement) {
    return placement == Placement::device || placement == Placement::outbox;
}

} // namespace

std::uint64_t block_of(Placement placement) {
    return placement == Placement::device ? ArenaSizes::device_block : ArenaSizes::host_block;
}

Arena::Arena(const Device& device, Placement placement)
    : device_(device), placement_(placement), sizes_(block_of(placement)) {}

Slice Arena::allocate(std::uint64_t bytes, const std::string& what) {
    ArenaSizes sizes = sizes_; // kept only once the memory is there
    const ArenaSizes::Place place = sizes.add(bytes);
    if (place.block == blocks_.size()) {
        blocks_.push_back(make_block(sizes.blocks().back(), what));
    }
    sizes_ = std::move(sizes);
    const Block& block = blocks_[place.block];
    return {block.buffer.get(), place.offset, bytes, block.address + place.offset,
            block.mapped ? block.mapped + place.offset : nullptr};
}

std::uint32_t Arena::memory_type(std::uint32_t allowed) const {
    constexpr VkMemoryPropertyFlags local = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
    constexpr VkMemoryPropertyFlags visible =
        VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
    constexpr VkMemoryPropertyFlags cached = VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    // In order of preference; zeros end a list.
    std::array<VkMemoryPropertyFlags, 3> wishes{};
    switch (placement_) {
    case Placement::device:
    case Placement::outbox:
        wishes = {local | visible | cached, local, 0};
        break;
    case Placement::step:
        wishes = {local | visible, visible, visible};
        break;
    case Placement::transfer:
    case Placement::inbox:
        wishes = {visible | cached, visible, visible};
        break;
    }
    const auto& memory = device_.traits().memory;
    for (const VkMemoryPropertyFlags wish : wishes) {
        for (std::uint32_t i = 0; i < memory.memoryTypeCount; ++i) {
            if ((allowed >> i & 1u) && (memory.memoryTypes[i].propertyFlags & wish) == wish) {
                return i;
            }
        }
    }
    throw Error(ErrorKind::device, device_.traits().info.name + " has no memory of the kind that is needed",
                {.code = "V-MEMORY-TYPE", .advice = "use the CPU backend"});
}

Arena::Block Arena::make_block(std::uint64_t bytes, const std::string& what) const {
    const DeviceFunctions& functions = device_.functions();
    const DeviceTraits& traits = device_.traits();
    if (bytes > traits.max_allocation) {
        throw Error(ErrorKind::resources,
                    what + " needs " + mebibytes(bytes) + " in one piece, " + traits.info.name +
                        " gives at most " + mebibytes(traits.max_allocation),
                    {.code = "V-MEMORY", .advice = "shorten the context or use the CPU"});
    }
    Block block;
    VkBufferCreateInfo info{};
    info.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO;
    info.size = bytes;
    info.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                 VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_INDIRECT_BUFFER_BIT |
                 VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT;
    const std::array families{traits.queue_family, traits.copy_family};
    if (device_.copies_apart() && (placement_ == Placement::outbox || placement_ == Placement::inbox)) {
        info.sharingMode = VK_SHARING_MODE_CONCURRENT; // no queue has to hand it over to the other
        info.queueFamilyIndexCount = static_cast<std::uint32_t>(families.size());
        info.pQueueFamilyIndices = families.data();
    }
    VkBuffer buffer = VK_NULL_HANDLE;
    check(functions.vkCreateBuffer(device_.get(), &info, nullptr, &buffer), "creating a buffer for " + what);
    block.buffer = {device_.get(), buffer, functions.vkDestroyBuffer};
    VkMemoryRequirements needs{};
    functions.vkGetBufferMemoryRequirements(device_.get(), buffer, &needs);

    VkMemoryAllocateFlagsInfo flags{};
    flags.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO;
    flags.flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT;
    VkMemoryAllocateInfo allocation{};
    allocation.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO;
    allocation.pNext = &flags;
    allocation.allocationSize = needs.size;
    allocation.memoryTypeIndex = memory_type(needs.memoryTypeBits);
    VkDeviceMemory memory = VK_NULL_HANDLE;
    check(functions.vkAllocateMemory(device_.get(), &allocation, nullptr, &memory),
          "allocating " + mebibytes(needs.size) + " for " + what + " on " + traits.info.name);
    block.memory = {device_.get(), memory, functions.vkFreeMemory};
    check(functions.vkBindBufferMemory(device_.get(), buffer, memory, 0), "binding memory for " + what);

    VkBufferDeviceAddressInfo address{};
    address.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO;
    address.buffer = buffer;
    block.address = functions.vkGetBufferDeviceAddress(device_.get(), &address);
    constexpr VkMemoryPropertyFlags readable = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                               VK_MEMORY_PROPERTY_HOST_COHERENT_BIT |
                                               VK_MEMORY_PROPERTY_HOST_CACHED_BIT;
    const auto type = traits.memory.memoryTypes[allocation.memoryTypeIndex].propertyFlags;
    const bool direct = (type & readable) == readable && !device_.options().always_stage;
    if (!on_device(placement_) || direct) {
        void* mapped = nullptr;
        check(functions.vkMapMemory(device_.get(), memory, 0, VK_WHOLE_SIZE, 0, &mapped),
              "mapping memory for " + what);
        block.mapped = static_cast<std::byte*>(mapped);
    }
    return block;
}

} // namespace ergo::vulkan
