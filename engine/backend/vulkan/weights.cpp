// SPDX-License-Identifier: GPL-3.0-or-later
#include "engine/backend/vulkan/weights.h"

#include "engine/base/error.h"
#include "engine/tensor/halves.h"

#include <limits>

namespace ergo::vulkan {

Stored stored_as(const WeightInfo& weight) {
    switch (weight.type()) {
    case DType::f32:
    case DType::f64:
        return Stored::f32;
    case DType::bf16:
        return Stored::bf16;
    case DType::f16:
        return Stored::f16;
    default:
        if (is_quantised(weight.type())) {
            return Stored::f16;
        }
        throw Error(ErrorKind::unsupported,
                    "a weight of type " + std::string(dtype_name(weight.tensor.dtype())) + " cannot be used",
                    {.tensor = weight.name, .advice = "weights are f32, f64, f16, bf16 or quantised"});
    }
}

std::uint64_t stored_bytes(const WeightInfo& weight) {
    const auto count = static_cast<std::uint64_t>(weight.tensor.size());
    // Kernels index a matrix with 32 bits.
    if (count > std::numeric_limits<std::uint32_t>::max()) {
        throw Error(ErrorKind::unsupported,
                    "a weight of " + std::to_string(count) +
                        " elements is larger than the Vulkan backend can address",
                    {.tensor = weight.name, .advice = "use the CPU backend"});
    }
    return count * (stored_as(weight) == Stored::f32 ? 4 : 2);
}

Weights::Weights(const Device& device, std::shared_ptr<const Tables> tables, const Progress& progress,
                 const CancelToken& cancel)
    : tables_(std::move(tables)), arena_(device, Placement::device), transfer_(device) {
    for (const WeightInfo& weight : tables_->weights) {
        bytes_ += stored_bytes(weight);
    }
    const DeviceInfo& info = device.traits().info;
    if (bytes_ > info.memory_bytes) {
        throw Error(ErrorKind::resources,
                    "the weights need " + std::to_string(bytes_ >> 20) + " MiB, " + info.name + " has " +
                        std::to_string(info.memory_bytes >> 20) + " MiB",
                    {.code = "V-MEMORY", .advice = "use the CPU backend"});
    }
    std::uint64_t done = 0;
    for (const WeightInfo& weight : tables_->weights) {
        Entry entry{arena_.allocate(stored_bytes(weight), weight.name), stored_as(weight)};
        const auto between = [&](std::uint64_t part) {
            cancel.check();
            if (progress) {
                progress(static_cast<double>(done + part), static_cast<double>(bytes_), "weights");
            }
        };
        const DType stored = weight.tensor.dtype();
        if (entry.stored == Stored::f32 && stored != DType::f32) {
            const auto values = weight.tensor.to_floats();
            transfer_.upload(entry.slice, 0, std::as_bytes(std::span(values)), between);
        } else if (is_quantised(stored) || weight.type() != stored) {
            const DType type =
                give_as_halves(weight.tensor, weight.run_as, [&](std::int64_t first, auto halves) {
                    const auto at = static_cast<std::uint64_t>(first) * sizeof halves[0];
                    transfer_.upload(entry.slice, at, std::as_bytes(halves));
                    between(at + halves.size_bytes());
                });
            entry.stored = type == DType::bf16 ? Stored::bf16 : Stored::f16;
        } else {
            transfer_.upload(entry.slice, 0, weight.tensor.bytes(), between);
        }
        done += entry.slice.size;
        entries_.push_back(entry);
    }
}

Weights::Matrix Weights::matrix(WeightId id) const {
    const Entry& entry = entries_.at(static_cast<std::size_t>(id.index));
    return {entry.slice.address, entry.stored, entry.slice.size};
}

VkDeviceAddress Weights::floats(WeightId id) {
    const Entry& entry = entries_.at(static_cast<std::size_t>(id.index));
    if (entry.stored == Stored::f32) {
        return entry.slice.address;
    }
    const std::lock_guard lock(mutex_);
    const auto found = copies_.find(id.index);
    if (found != copies_.end()) {
        return found->second.address;
    }
    const WeightInfo& weight = tables_->weights[static_cast<std::size_t>(id.index)];
    const auto values = weight.values();
    const Slice slice = arena_.allocate(values.size() * sizeof(float), weight.name);
    transfer_.upload(slice, 0, std::as_bytes(std::span(values)));
    return copies_.emplace(id.index, slice).first->second.address;
}

} // namespace ergo::vulkan
